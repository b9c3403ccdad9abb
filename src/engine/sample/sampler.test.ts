import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { CHUNK_WORDS, candidatesFromLogits, collectCandidates, penalize } from './candidates.ts'
import { createRng } from './rng.ts'
import { type SamplingOptions, sampleFromLogits, sampleToken } from './sampler.ts'

const PLAIN: SamplingOptions = { temperature: 1, topP: 1, topK: 0, minP: 0, repetitionPenalty: 1 }
const NONE = new Set<number>()

/** What the kernel writes: chunk c owns ids c, c + chunks, … and keeps its four largest, ties by rising id. */
function chunkRecords(
  logits: Float32Array,
  chunks: number,
  options: SamplingOptions,
  seen: ReadonlySet<number>,
): ArrayBuffer {
  const records = new ArrayBuffer(chunks * CHUNK_WORDS * 4)
  for (let chunk = 0; chunk < chunks; chunk++) {
    const ids = new Uint32Array(records, chunk * CHUNK_WORDS * 4, 4).fill(0xffffffff)
    const rest = new Float32Array(records, chunk * CHUNK_WORDS * 4 + 16, 8).fill(-3e38, 0, 4)
    const own = [...logits.keys()].filter((id) => id % chunks === chunk)
    const value = (id: number) => penalize(logits[id] ?? NaN, id, { ...options, seen })
    const best = [...own].sort((a, b) => value(b) - value(a) || a - b)
    best.slice(0, 4).forEach((id, entry) => {
      ids[entry] = id
      rest[entry] = value(id)
    })
    const rawPeak = Math.max(-3e38, ...own.map((id) => logits[id] ?? NaN))
    const peak = Math.max(-3e38, ...own.map(value))
    rest[4] = rawPeak
    rest[5] = own.reduce((sum, id) => sum + Math.exp((logits[id] ?? NaN) - rawPeak), 0)
    rest[6] = peak
    rest[7] = own.reduce((sum, id) => sum + Math.exp((value(id) - peak) / (options.temperature || 1)), 0)
  }
  return records
}

describe('sampleFromLogits', () => {
  const logits = Float32Array.from([Math.log(4), Math.log(1), Math.log(3), Math.log(2)])
  const pick = (draw: number, options: Partial<SamplingOptions>, seen = NONE) =>
    sampleFromLogits(logits, { ...PLAIN, ...options }, draw, seen).id

  test('walks the falling order: the draw picks by cumulative probability', () => {
    const draws = [0, 0.39, 0.41, 0.69, 0.71, 0.89, 0.91, 1 - 2 ** -53]
    expect(draws.map((draw) => pick(draw, {}))).toEqual([0, 0, 2, 2, 3, 3, 1, 1])
  })

  test('is greedy at temperature 0, the lower id first among equals', () => {
    expect(pick(0.99, { temperature: 0 })).toBe(0)
    const equal = Float32Array.from([1, 5, -0, 5, 5])
    expect(sampleFromLogits(equal, { ...PLAIN, temperature: 0 }, 0, NONE).id).toBe(1)
    const zeros = Float32Array.from([-1, 0, -0])
    expect(sampleFromLogits(zeros, { ...PLAIN, temperature: 0 }, 0, NONE).id).toBe(1)
    expect(sampleFromLogits(Float32Array.from([-1, -0, 0]), { ...PLAIN, temperature: 0 }, 0, NONE).id).toBe(1)
  })

  test('sharpens with a low temperature and flattens with a high one', () => {
    // At temperature 0.5 the weights are squared: 16, 9, 4, 1 of 30.
    expect([0.53, 0.54, 0.83, 0.84].map((draw) => pick(draw, { temperature: 0.5 }))).toEqual([0, 2, 2, 3])
    expect(pick(0.31, { temperature: 5 })).toBe(2)
  })

  test('keeps k tokens, and no more than there are', () => {
    expect([0.56, 0.58, 0.999].map((draw) => pick(draw, { topK: 2 }))).toEqual([0, 2, 2])
    expect(pick(0.95, { topK: 100 })).toBe(1)
  })

  test('keeps the shortest beginning that reaches top_p, at least one', () => {
    expect(pick(0.999, { topP: 0.39 })).toBe(0)
    expect(pick(0.999, { topP: 0.41 })).toBe(2)
    expect(pick(0.999, { topP: 0.95 })).toBe(1)
    expect(pick(0.999, { topP: 0 })).toBe(0)
  })

  test('applies top_p to what top_k left', () => {
    // Of 4/7 and 3/7 the first reaches 0.57 alone; of all four it would not.
    expect(pick(0.999, { topK: 2, topP: 0.57 })).toBe(0)
    expect(pick(0.999, { topP: 0.57 })).toBe(2)
  })

  test('drops what is below min_p times the largest', () => {
    expect(pick(0.999, { minP: 0.51 })).toBe(2)
    expect(pick(0.999, { minP: 0.49 })).toBe(3)
    expect(pick(0.999, { minP: 1 })).toBe(0)
  })

  test('divides positive and multiplies negative logits of seen tokens', () => {
    const mixed = Float32Array.from([2, -1, 1.5, -0.9])
    const seen = new Set([0, 3])
    const order = candidatesFromLogits(mixed, 1, { repetitionPenalty: 2, seen })
    expect([...order.ids]).toEqual([2, 0, 1, 3])
    expect([...order.logits]).toEqual([1.5, 1, -1, Math.fround(Math.fround(-0.9) * 2)])
  })

  test('reports the log probability under raw logits, whatever the options', () => {
    const options = { ...PLAIN, temperature: 0.5, topK: 1, repetitionPenalty: 2 }
    const token = sampleFromLogits(logits, options, 0.5, new Set([0]))
    expect(token.id).toBe(2)
    expect(token.logprob).toBeCloseTo(Math.log(0.3), 6)
    const penalized = sampleFromLogits(logits, { ...options, topK: 0 }, 1 - 2 ** -53, new Set([0, 2]))
    expect(penalized.logprob).toBeCloseTo(Math.log((logits.map(Math.exp)[penalized.id] ?? NaN) / 10), 6)
  })

  test('leaves out tokens at −∞ and refuses logits that are not numbers', () => {
    const masked = Float32Array.from([-Infinity, 0, -Infinity, -1])
    expect(sampleFromLogits(masked, PLAIN, 1 - 2 ** -53, NONE).id).toBe(3)
    for (const broken of [[NaN, 1], [Infinity, 1], [-Infinity, -Infinity], []]) {
      const act = () => sampleFromLogits(Float32Array.from(broken), PLAIN, 0.5, NONE)
      expect(act).toThrow(expect.objectContaining({ code: 'internal' }))
    }
  })

  test('draws a frequency that is the probability', () => {
    const rng = createRng(3)
    const tally = Array.from({ length: 10000 }, () => pick(rng(), {}))
    const share = (id: number) => tally.filter((found) => found === id).length / 10000
    // Two percent is four standard deviations.
    for (const [id, p] of [0.4, 0.1, 0.3, 0.2].entries()) expect(Math.abs(share(id) - p)).toBeLessThan(0.02)
  })
})

const logit = fc.integer({ min: -40, max: 40 }).map((value) => value / 8)
const options: fc.Arbitrary<SamplingOptions> = fc.record({
  temperature: fc.constantFrom(0, 0.25, 1, 2),
  topP: fc.constantFrom(1, 0.95, 0.7, 0.3, 0),
  topK: fc.constantFrom(0, 1, 3, 8, 40, 1000),
  minP: fc.constantFrom(0, 0.02, 0.3, 1),
  repetitionPenalty: fc.constantFrom(1, 1.5, 0.8),
})

describe('sampleToken', () => {
  test('gives the token of all logits, or asks for them', () => {
    let certain = 0
    let asked = 0
    fc.assert(
      fc.property(
        fc.array(logit, { minLength: 1, maxLength: 200, size: 'max' }),
        fc.integer({ min: 1, max: 24 }),
        options,
        fc.uniqueArray(fc.nat(199), { maxLength: 20 }),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (values, chunks, chosen, seenIds, draw) => {
          const logits = Float32Array.from(values)
          const seen = new Set(seenIds)
          const records = chunkRecords(logits, chunks, chosen, seen)
          const candidates = collectCandidates(records, logits.length, chosen.temperature)
          const token = sampleToken(candidates, chosen, draw, seen)
          if (token === 'need-all-logits') {
            asked++
            return
          }
          certain++
          const whole = sampleFromLogits(logits, chosen, draw, seen)
          expect(token.id).toBe(whole.id)
          expect(token.logprob).toBeCloseTo(whole.logprob, 5)
        },
      ),
      { numRuns: 1000, seed: 11 },
    )
    expect(certain).toBeGreaterThan(500)
    expect(asked).toBeGreaterThan(50)
  })

  test('never asks when greedy, when k is small, or when every token is listed', () => {
    fc.assert(
      fc.property(fc.array(logit, { minLength: 1, maxLength: 90 }), options, (values, chosen) => {
        const logits = Float32Array.from(values)
        const ask = (chunks: number, own: SamplingOptions) => {
          const records = chunkRecords(logits, chunks, own, NONE)
          return sampleToken(collectCandidates(records, logits.length, own.temperature), own, 0.999999, NONE)
        }
        expect(ask(5, { ...chosen, temperature: 0 })).not.toBe('need-all-logits')
        expect(ask(5, { ...chosen, topK: 4 })).not.toBe('need-all-logits')
        expect(ask(30, chosen)).not.toBe('need-all-logits')
      }),
      { numRuns: 500, seed: 12 },
    )
  })

  test('asks for all logits when the draw lies beyond the exact part', () => {
    const flat = new Float32Array(1000)
    const candidates = collectCandidates(chunkRecords(flat, 8, PLAIN, NONE), 1000, 1)
    expect(candidates.isComplete).toBe(false)
    // Ties: chunk 0 holds ids 0, 8, 16, 24, and its fourth is the first of all fourths.
    expect([...candidates.ids]).toEqual(Array.from({ length: 25 }, (_, id) => id))
    expect(sampleToken(candidates, PLAIN, 0.0245, NONE)).toMatchObject({ id: 24 })
    expect(sampleToken(candidates, PLAIN, 0.0255, NONE)).toBe('need-all-logits')
    expect(sampleToken(candidates, { ...PLAIN, topK: 26 }, 0, NONE)).toBe('need-all-logits')
    expect(sampleToken(candidates, { ...PLAIN, topK: 25 }, 0.999, NONE)).toMatchObject({ id: 24 })
    expect(sampleToken(candidates, { ...PLAIN, topP: 0.5 }, 0, NONE)).toBe('need-all-logits')
    expect(sampleToken(candidates, { ...PLAIN, minP: 0.5 }, 0, NONE)).toBe('need-all-logits')
    expect(sampleToken(candidates, { ...PLAIN, topP: 0.02 }, 0.999, NONE)).toMatchObject({ id: 19 })
  })

  test('orders a whole vocabulary', () => {
    const rng = createRng(5)
    const logits = Float32Array.from({ length: 49152 }, () => rng() * 20 - 10)
    const order = candidatesFromLogits(logits, 1, { repetitionPenalty: 1, seen: NONE })
    expect(order.ids.length).toBe(49152)
    for (let rank = 1; rank < 49152; rank++) {
      const [before = NaN, after = NaN] = [order.logits[rank - 1], order.logits[rank]]
      if (!(before > after || (before === after && (order.ids[rank - 1] ?? 0) < (order.ids[rank] ?? 0)))) {
        throw new Error(`rank ${rank} is out of order`)
      }
      if (after !== logits[order.ids[rank] ?? 0]) throw new Error(`rank ${rank} has a wrong logit`)
    }
  })
})
