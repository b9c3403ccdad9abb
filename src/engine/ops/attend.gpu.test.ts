import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  DEVICE_KINDS,
  openTestGpu,
  randomNumbers,
  relativeError,
  type TestGpu,
  testBlueprint,
  tile,
  tiledColumn,
} from '../../../test/gpu-fixture.ts'
import { attend } from '../reference/attention.ts'
import { roundUp } from '../store/manifest.ts'
import { makeAttend, partialBytes, SPLIT_TOKENS, splitCount } from './attend.ts'
import type { TileColumns } from './op.ts'

interface Case {
  heads?: number
  kvHeads?: number
  headSize?: number
  capacity?: number
  position: number
  count?: number
  width?: TileColumns
  /** Score of a position against every head, instead of random ones. */
  score?: (position: number) => number
}

describe.each(DEVICE_KINDS)('attention on a %s device', (kind) => {
  let gpu: TestGpu
  beforeAll(async () => {
    gpu = await openTestGpu(kind)
  })
  afterAll(() => gpu.close())

  async function worstError(options: Case): Promise<number> {
    const { heads = 3, kvHeads = 1, headSize = 16, capacity = 1100, position, count = 1, width = 1 } = options
    const blueprint = testBlueprint({ heads, kvHeads, headSize })
    const last = position + count
    const kvSize = kvHeads * headSize
    const keyRows = Array.from({ length: last }, (_, at) => randomNumbers(kvSize, 1000 + at))
    const valueRows = Array.from({ length: last }, (_, at) => randomNumbers(kvSize, 20_000 + at))
    const queryStride = heads * headSize + 8
    const queries = Array.from({ length: count }, (_, token) => {
      return randomNumbers(queryStride, 500 + token).map((value) => value * 4)
    })
    if (options.score !== undefined) {
      // One dimension carries the score, so that its rounding does not hide the softmax's.
      for (const query of queries) query.fill(0)
      for (let head = 0; head < heads; head++)
        for (const query of queries) query[head * headSize] = Math.sqrt(headSize)
      for (const [at, row] of keyRows.entries()) {
        for (let head = 0; head < kvHeads; head++) row[head * headSize] = options.score(at)
      }
    }
    // Positions not yet read, query rows beyond the heads, and everything computed hold NaN.
    const keys = new Float32Array(kvSize * capacity).fill(Number.NaN)
    const values = new Float32Array(kvSize * capacity).fill(Number.NaN)
    for (let at = 0; at < last; at++) {
      for (let index = 0; index < kvSize; index++) {
        const [head, dimension] = [Math.floor(index / headSize), index % headSize]
        keys[(Math.floor(index / 4) * capacity + at) * 4 + (index % 4)] = keyRows[at]?.[index] as number
        values[(head * capacity + at) * headSize + dimension] = valueRows[at]?.[index] as number
      }
    }
    for (const query of queries) query.fill(Number.NaN, heads * headSize)
    const output = gpu.poisoned(roundUp(count, width) * heads * headSize)
    const buffers = {
      qkv: gpu.buffer(tile(queries, width, Number.NaN)),
      keys: gpu.buffer(keys),
      values: gpu.buffer(values),
      partial: gpu.poisoned(partialBytes(blueprint, count, capacity) / 4),
    }
    gpu.writeState({ position, tokens: queries.map(() => 0) })
    const ops = await makeAttend(gpu.context, {
      blueprint,
      ...buffers,
      qkvStride: queryStride,
      output,
      capacity,
      tile: width,
    })
    const actual = await gpu.run(ops, { position, count }, output)
    for (const buffer of [output, ...Object.values(buffers)]) gpu.memory.free(buffer)
    const errors = queries.map((query, token) => {
      const end = position + token + 1
      const expected = attend(blueprint, query, keyRows.slice(0, end), valueRows.slice(0, end))
      return relativeError(tiledColumn(actual, token, heads * headSize, width), expected)
    })
    return Math.max(...errors)
  }

  it.each([0, 1, 63, 64, 65, SPLIT_TOKENS - 1, SPLIT_TOKENS, 1023])(
    'reads all of the past at position %i',
    async (position) => {
      expect(await worstError({ position })).toBeLessThan(1e-5)
    },
  )

  it('reads all of the past at position 8191', async () => {
    const error = await worstError({ position: 8191, capacity: 8192, heads: 2, headSize: 64 })
    expect(error).toBeLessThan(1e-5)
  })

  it.each([16, 64, 80, 128, 256])('shares KV heads between heads of %i numbers', async (headSize) => {
    for (const width of [1, 4] as const) {
      const error = await worstError({
        heads: 6,
        kvHeads: 2,
        headSize,
        capacity: 90,
        position: 66,
        count: 3,
        width,
      })
      expect(error).toBeLessThan(1e-5)
    }
  })

  it.each([1, 4] as const)('lets each token of a chunk see up to itself, in tiles of %i', async (width) => {
    // Chunks that begin the context, cross a tile of 64 positions, and cross a split.
    for (const position of [0, 60, SPLIT_TOKENS - 3]) {
      expect(await worstError({ heads: 4, kvHeads: 2, position, count: 7, width })).toBeLessThan(1e-5)
    }
  })

  const last = 600
  const scores = {
    rising: (position: number) => -80 + (160 * position) / last,
    falling: (position: number) => 80 - (160 * position) / last,
    alternating: (position: number) => (position % 2 === 0 ? 80 : -80) - (position % 5),
    'all low': (position: number) => -80 - (position % 3),
    'high once, in an early tile': (position: number) => (position === 70 ? 80 : -80),
    'high once, in the last split': (position: number) => (position === last ? 80 : -80),
  }

  it.each(Object.entries(scores))('keeps its sums finite and exact with scores %s', async (_, score) => {
    expect(await worstError({ position: last, score })).toBeLessThan(1e-5)
  })
})

it('counts a split for every begun range of positions', () => {
  expect([1, SPLIT_TOKENS, SPLIT_TOKENS + 1, 8192].map(splitCount)).toEqual([1, 1, 2, 8192 / SPLIT_TOKENS])
})
