// The whole way from a file to logits on tiny models whose sizes are all unequal, against the reference.
import { afterEach, describe, expect, it } from 'vitest'
import { halfToNumber, numberToHalf } from '../../src/engine/import/half.ts'
import { referenceForward } from '../../src/engine/reference/forward.ts'
import { Session } from '../../src/engine/session.ts'
import { makeTinyModel, type TinyModelOptions } from '../fixtures/tiny-model.ts'
import { relativeError } from '../gpu-fixture.ts'

const SAMPLING = { temperature: 0, repetitionPenalty: 1 }
const IDS = [3, 70, 71, 250, 12, 12, 99, 5, 140, 141, 7, 33, 64, 128, 200, 201, 202, 90, 1, 2, 255, 18]

const sessions: Session[] = []

async function openTiny(options: TinyModelOptions, minimalDevice = false) {
  const session = new Session()
  sessions.push(session)
  await session.open({ catalog: [], minimalDevice }, () => undefined)
  const tiny = makeTinyModel(options)
  const id = `tiny-${sessions.length}`
  await session.load(1, { files: tiny.files, id }, undefined)
  const model = session.model
  if (model === undefined) throw new Error('not loaded')
  // Auxiliaries are kept in f16, whatever the file has.
  const stored = (name: string, data: Float32Array) =>
    /_mpo_(left|right)/.test(name) ? data.map((value) => halfToNumber(numberToHalf(value))) : data
  const weights = Object.fromEntries([...tiny.tensors].map(([name, { data }]) => [name, stored(name, data)]))
  return {
    runner: model.runner,
    reference: referenceForward(tiny.blueprint, weights, IDS),
    blueprint: tiny.blueprint,
  }
}

afterEach(async () => {
  for (const session of sessions) await session.close()
})

const CASES: [string, TinyModelOptions][] = [
  ['q4_1 and q8_0', {}],
  [
    'f16 attention, q8_0 centers, f32 auxiliaries',
    { formats: { attention: 'F16', central: 'Q8_0' }, auxFormat: 'F32' },
  ],
  [
    'f32 everywhere, own head',
    { formats: { embedding: 'F32', attention: 'F32', central: 'F32' }, tiedHead: false },
  ],
  [
    'values in a format of their own, three shards',
    { formats: { value: 'Q8_0', embedding: 'F16' }, shards: 3 },
  ],
  ['q4_1 embedding, three layers', { formats: { embedding: 'Q4_1' }, layers: 3, seed: 9 }],
]

describe.each(CASES)('a tiny model with %s', (_, options) => {
  it('agrees with the reference in prefill, in chunks and token by token', async () => {
    const { runner, reference, blueprint } = await openTiny(options)
    const { layers, vocabularySize, router } = blueprint
    for (const chunkTokens of [64, 5]) {
      const all = runner.prefill(IDS, 0, { chunkTokens: () => chunkTokens, logits: 'all' })
      for await (const { logits, experts, weights, first, count } of all) {
        for (let offset = 0; offset < count; offset++) {
          const token = first + offset
          const row = (logits as Float32Array).subarray(
            offset * vocabularySize,
            (offset + 1) * vocabularySize,
          )
          expect(relativeError(row, reference.logits[token] as Float64Array)).toBeLessThan(2e-5)
          for (let layer = 0; layer < layers; layer++) {
            const from = (layer * count + offset) * router.topK
            const route = reference.routing[layer]?.[token]
            expect([...experts.subarray(from, from + router.topK)]).toEqual(route?.experts)
            expect(
              relativeError(weights.subarray(from, from + router.topK), route?.weights ?? []),
            ).toBeLessThan(2e-5)
          }
        }
      }
    }
    for (const [position, id] of IDS.entries()) {
      await runner.step({ tokens: [id], position, logits: 'last', sampling: SAMPLING })
      expect(
        relativeError(await runner.readLogits(), reference.logits[position] as Float64Array),
      ).toBeLessThan(2e-5)
    }
  })
})

describe('a device without features and with default limits', () => {
  it('gives the same logits', async () => {
    const { runner, reference } = await openTiny({}, true)
    const all = runner.prefill(IDS, 0, { chunkTokens: () => 64, logits: 'last' })
    for await (const _ of all)
      expect(relativeError(await runner.readLogits(), reference.logits.at(-1) ?? [])).toBeLessThan(2e-5)
  })
})
