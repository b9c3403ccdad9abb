import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  DEVICE_KINDS,
  openTestGpu,
  randomNumbers,
  relativeError,
  type TestGpu,
} from '../../../test/gpu-fixture.ts'
import { CHUNK_BYTES, chunkCount, makeSampleChunks } from './sample-chunks.ts'

const NO_TOKEN = 0xffffffff
const LOWEST = Math.fround(-3e38)

interface Record4 {
  ids: number[]
  logits: number[]
  rawPeak: number
  rawSum: number
  peak: number
  sum: number
}

interface Case {
  logits: Float32Array<ArrayBuffer>
  penalized?: (token: number) => boolean
  penalty?: number
  temperature?: number
}

/** The best four of a chunk and its two sums, by sorting. */
function sample(
  { logits, penalized, penalty = 1, temperature = 1 }: Case,
  chunk: number,
  chunks: number,
): Record4 {
  const tokens = Array.from(logits.keys()).filter((token) => token % chunks === chunk)
  const raw = (token: number) => logits[token] as number
  const value = (token: number) => {
    if (penalized?.(token) !== true) return raw(token)
    return raw(token) > 0 ? raw(token) / penalty : raw(token) * penalty
  }
  const best = [...tokens].sort((a, b) => value(b) - value(a) || a - b).slice(0, 4)
  const rawPeak = Math.max(...tokens.map(raw))
  const peak = value(best[0] as number)
  const fill = (values: number[], rest: number) => [
    ...values,
    ...Array.from({ length: 4 - values.length }, () => rest),
  ]
  return {
    ids: fill(best, NO_TOKEN),
    logits: fill(best.map(value), LOWEST),
    rawPeak,
    rawSum: tokens.reduce((sum, token) => sum + Math.exp(raw(token) - rawPeak), 0),
    peak,
    sum: tokens.reduce((sum, token) => sum + Math.exp((value(token) - peak) / temperature), 0),
  }
}

/** log Σ exp over all chunks from their peaks and sums. */
function logSumExp(
  records: readonly Record4[],
  peak: 'rawPeak' | 'peak',
  sum: 'rawSum' | 'sum',
  temperature: number,
): number {
  const highest = Math.max(...records.map((record) => record[peak]))
  const total = records.reduce(
    (all, record) => all + record[sum] * Math.exp((record[peak] - highest) / temperature),
    0,
  )
  return highest / temperature + Math.log(total)
}

describe.each(DEVICE_KINDS)('sample_chunks on a %s device', (kind) => {
  let gpu: TestGpu
  beforeAll(async () => {
    gpu = await openTestGpu(kind)
  })
  afterAll(() => gpu.close())

  async function check(options: Case): Promise<void> {
    const { logits, penalized, penalty = 1, temperature = 1 } = options
    const vocabulary = logits.length
    const seen = new Uint32Array(Math.ceil(vocabulary / 32))
    for (let token = 0; token < vocabulary; token++) {
      if (penalized?.(token) === true) seen[token >>> 5] = (seen[token >>> 5] as number) | (1 << (token & 31))
    }
    const count = chunkCount(vocabulary)
    const chunks = gpu.poisoned((count * CHUNK_BYTES) / 4)
    gpu.writeState({ penalty, temperature })
    const op = await makeSampleChunks(gpu.context, {
      vocabulary,
      logits: gpu.buffer(logits),
      seen: gpu.buffer(seen),
      chunks,
    })
    const [bytes] = await gpu.read([op], { position: 0, count: 1 }, [chunks])
    const [words, numbers] = [new Uint32Array(bytes as ArrayBuffer), new Float32Array(bytes as ArrayBuffer)]
    const actual = Array.from({ length: count }, (_, chunk): Record4 => {
      const at = (chunk * CHUNK_BYTES) / 4
      const [rawPeak, rawSum, peak, sum] = numbers.subarray(at + 8, at + 12) as unknown as [
        number,
        number,
        number,
        number,
      ]
      const ids = [...words.subarray(at, at + 4)]
      return { ids, logits: [...numbers.subarray(at + 4, at + 8)], rawPeak, rawSum, peak, sum }
    })
    const expected = Array.from({ length: count }, (_, chunk) => sample(options, chunk, count))
    for (const [chunk, record] of actual.entries()) {
      const wanted = expected[chunk] as Record4
      expect(record.ids).toEqual(wanted.ids)
      expect(relativeError(record.logits, wanted.logits)).toBeLessThan(2e-6)
      expect(relativeError([record.rawPeak], [wanted.rawPeak])).toBeLessThan(2e-6)
      expect(relativeError([record.rawSum], [wanted.rawSum])).toBeLessThan(1e-5)
      expect(relativeError([record.peak], [wanted.peak])).toBeLessThan(2e-6)
      expect(relativeError([record.sum], [wanted.sum])).toBeLessThan(1e-5)
    }
    for (const [peak, sum, heat] of [
      ['rawPeak', 'rawSum', 1] as const,
      ['peak', 'sum', temperature] as const,
    ]) {
      const difference = logSumExp(actual, peak, sum, heat) - logSumExp(expected, peak, sum, heat)
      expect(Math.abs(difference)).toBeLessThan(1e-5)
    }
  }

  it.each([1, 2, 3, 17, 1003, 9001])('reads a vocabulary of %i', async (vocabulary) => {
    await check({ logits: randomNumbers(vocabulary, 12).map((value) => value * 9) })
  })

  it('penalizes seen tokens of either sign, at a temperature', async () => {
    const logits = randomNumbers(1003, 13).map((value) => value * 9)
    const penalized = (token: number) => token % 3 === 0 || token % 32 === 31
    for (const temperature of [0.5, 2]) await check({ logits, penalized, penalty: 1.3, temperature })
  })

  it('gives ties to the lower id', async () => {
    const logits = randomNumbers(9001, 14).map((value) => Math.round(value * 3))
    await check({ logits })
    // Halves and doubles are exact, so penalized tokens tie as well.
    await check({ logits, penalized: (token) => token % 5 === 0, penalty: 2 })
    await check({ logits: new Float32Array(100) })
  })

  it('finds the best four wherever they stand in a chunk', async () => {
    const chunks = chunkCount(64)
    for (const order of [
      [0, 1, 2, 3],
      [3, 2, 1, 0],
      [9, 2, 11, 5],
      [12, 13, 14, 15],
    ]) {
      const logits = new Float32Array(64).fill(-5)
      for (const [rank, place] of order.entries()) logits[place * chunks + 1] = rank
      await check({ logits })
    }
  })
})

it('makes enough chunks for a GPU and few enough to read back', () => {
  expect([1, 16, 17, 8192, 8193, 49_152].map(chunkCount)).toEqual([1, 1, 2, 512, 512, 512])
})
