import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  DEVICE_KINDS,
  firstDifference,
  openTestGpu,
  randomNumbers,
  relativeError,
  type TestGpu,
  testBlueprint,
  tile,
  tiledColumn,
} from '../../../test/gpu-fixture.ts'
import { qkvLayout } from '../model/forward.ts'
import { rope, ropeTable } from '../reference/rope.ts'
import { roundUp } from '../store/manifest.ts'
import type { TileColumns } from './op.ts'
import { makeRopeAppend } from './rope-append.ts'

interface Case {
  heads: number
  kvHeads: number
  headSize: number
  ropeDimensions: number
  capacity: number
  position: number
  count: number
  width: TileColumns
}

const SMALL = { heads: 3, kvHeads: 1, headSize: 16, ropeDimensions: 16, capacity: 8192 }

describe.each(DEVICE_KINDS)('rope_append on a %s device', (kind) => {
  let gpu: TestGpu
  beforeAll(async () => {
    gpu = await openTestGpu(kind)
  })
  afterAll(() => gpu.close())

  async function check({ capacity, position, count, width, ...shape }: Case): Promise<void> {
    const blueprint = testBlueprint({ ...shape, ropeBase: 100_000 })
    const { heads, kvHeads, headSize, ropeDimensions, ropeBase } = blueprint
    const layout = qkvLayout(blueprint)
    const tokens = Array.from({ length: count }, (_, token) => randomNumbers(layout.stride, 60 + token))
    const qkv = gpu.buffer(tile(tokens, width, Number.NaN))
    const cache = kvHeads * headSize * capacity
    const [keys, values] = [gpu.poisoned(cache), gpu.poisoned(cache)]
    const table = gpu.buffer(Float32Array.from(ropeTable(capacity, ropeDimensions, ropeBase)))
    gpu.writeState({ position, tokens: tokens.map(() => 0) })
    const op = await makeRopeAppend(gpu.context, {
      blueprint,
      layout,
      rope: table,
      qkv,
      keys,
      values,
      capacity,
      tile: width,
    })
    const results = await gpu.read([op], { position, count }, [qkv, keys, values])
    for (const buffer of [qkv, keys, values, table]) gpu.memory.free(buffer)
    const [turned, k, v] = results.map((bytes) => new Float32Array(bytes)) as [
      Float32Array,
      Float32Array,
      Float32Array,
    ]
    const turn = (x: Float32Array, at: number) => rope(x, headSize, ropeDimensions, ropeBase, at)
    const queries = heads * headSize
    for (const [token, before] of tokens.entries()) {
      const after = tiledColumn(turned, token, layout.stride, width)
      if (position + token >= capacity) {
        expect(firstDifference(after, before)).toBe(-1)
        continue
      }
      const expected = turn(before.subarray(0, queries), position + token)
      expect(relativeError(after.subarray(0, queries), expected)).toBeLessThan(2e-6)
      expect(firstDifference(after.subarray(queries), before.subarray(queries))).toBe(-1)
      const part = (first: number) => before.subarray(first, first + kvHeads * headSize)
      const [key, value] = [turn(part(layout.kOffset), position + token), part(layout.vOffset)]
      const cachedKey = Float32Array.from(key, (_, index) => {
        const quad = Math.floor(index / 4)
        return k[(quad * capacity + position + token) * 4 + (index % 4)] as number
      })
      const cachedValue = Float32Array.from(value, (_, index) => {
        const [head, dimension] = [Math.floor(index / headSize), index % headSize]
        return v[(head * capacity + position + token) * headSize + dimension] as number
      })
      expect(relativeError(cachedKey, key)).toBeLessThan(2e-6)
      expect(firstDifference(cachedValue, value)).toBe(-1)
    }
    // Nothing but the step's own positions is written.
    const written = Math.min(count, capacity - position) * kvHeads * headSize
    for (const part of [k, v]) {
      expect(part.reduce((sum, number) => sum + (Number.isNaN(number) ? 0 : 1), 0)).toBe(written)
    }
  }

  it.each([0, 1, 63, 64, 65, 1023, 8191])('turns and appends at position %i', async (position) => {
    await check({ ...SMALL, position, count: 1, width: 1 })
  })

  it.each([64, 80, 128])('reads heads of %i numbers that share KV heads', async (headSize) => {
    const shape = { heads: 6, kvHeads: 2, headSize, ropeDimensions: headSize, capacity: 80 }
    await check({ ...shape, position: 61, count: 6, width: 4 })
    await check({ ...shape, position: 61, count: 6, width: 1 })
  })

  it('leaves dimensions beyond the rotary ones', async () => {
    const shape = { heads: 4, kvHeads: 2, headSize: 80, ropeDimensions: 36, capacity: 20 }
    await check({ ...shape, position: 7, count: 3, width: 4 })
  })

  it('drops tokens beyond the capacity', async () => {
    await check({ ...SMALL, position: 8189, count: 6, width: 4 })
  })
})

it('has q, k and v begin at row groups', () => {
  const layout = qkvLayout(testBlueprint({ heads: 3, kvHeads: 1, headSize: 16 }))
  expect(layout).toEqual({ kOffset: roundUp(48, 32), vOffset: 96, stride: 128 })
})
