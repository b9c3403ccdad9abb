// One prompt through the engine against its golden outputs; the bars are the ones of docs/kernels.md.
import { expect } from 'vitest'
import type { Runner } from '../../src/engine/model/runner.ts'
import type { OpenModel } from '../../src/engine/open-model.ts'
import { collectCandidates } from '../../src/engine/sample/candidates.ts'
import type { GoldenTensor } from '../fixtures/safetensors.ts'
import type { GoldenPrompt } from './default-model.ts'

/** Routing may differ only where the second and third expert are this close. */
const BORDER_GAP = 1e-4
const ERROR = 1e-4
/** Below this margin two tokens are as good as equal. */
const GREEDY_MARGIN = 0.02

export interface Comparison {
  /** Largest logit error over the largest |logit|. */
  logitError: number
  weightError: number
  /** Choices that differ inside the border gap. */
  ambiguous: number
}

type Golden = Record<string, GoldenTensor>

const numbers = (golden: Golden, key: string): ArrayLike<number> => (golden[key] as GoldenTensor).numbers

/** Routing as the runner takes it, [layers, count, topK], from the golden file's [layers, tokens, topK]. */
export function goldenRouting(golden: Golden, layers: number, tokens: number, topK: number) {
  const experts = numbers(golden, 'experts')
  return (first: number, count: number): Uint32Array => {
    const forced = new Uint32Array(layers * count * topK)
    for (let layer = 0; layer < layers; layer++) {
      for (let entry = 0; entry < count * topK; entry++) {
        forced[layer * count * topK + entry] = experts[(layer * tokens + first) * topK + entry] as number
      }
    }
    return forced
  }
}

/** Runs a prompt with all logits and compares logits, experts and weights at every position. */
export async function comparePrompt(
  { runner, manifest }: OpenModel,
  ids: readonly number[],
  golden: Golden,
  options: { chunkTokens: number; isForced: boolean },
): Promise<Comparison> {
  const { layers, vocabularySize, router } = manifest.blueprint
  const { topK } = router
  const tokens = ids.length
  const forced = options.isForced ? goldenRouting(golden, layers, tokens, topK) : undefined
  const comparison: Comparison = { logitError: 0, weightError: 0, ambiguous: 0 }
  for await (const chunk of steps(runner, ids, options.chunkTokens, forced)) {
    for (let offset = 0; offset < chunk.count; offset++) {
      const token = chunk.first + offset
      for (let layer = 0; layer < layers; layer++) {
        const from = (layer * chunk.count + offset) * topK
        const own = {
          experts: chunk.experts.subarray(from, from + topK),
          weights: chunk.weights.subarray(from, from + topK),
        }
        compareRoute(own, golden, (layer * tokens + token) * topK, layer * tokens + token, comparison)
      }
      const row = (chunk.logits as Float32Array).subarray(
        offset * vocabularySize,
        (offset + 1) * vocabularySize,
      )
      comparison.logitError = Math.max(
        comparison.logitError,
        logitError(row, golden, token, token === tokens - 1),
      )
    }
  }
  return comparison
}

/** Chunks of prefill, or with 1 the decode kernels token by token; logits of every token either way. */
async function* steps(
  runner: Runner,
  ids: readonly number[],
  chunkTokens: number,
  forced: ((first: number, count: number) => Uint32Array) | undefined,
) {
  if (chunkTokens > 1)
    return yield* runner.prefill(ids, 0, { chunkTokens: () => chunkTokens, logits: 'all', forced })
  const sampling = { temperature: 0, repetitionPenalty: 1 }
  for (const [first, id] of ids.entries()) {
    const step = {
      tokens: [id],
      position: first,
      logits: 'last',
      sampling,
      forced: forced?.(first, 1),
    } as const
    const result = await runner.step(step)
    yield { ...result, logits: await runner.readLogits(), first, count: 1 }
  }
}

function compareRoute(
  own: { experts: Uint16Array; weights: Float32Array },
  golden: Golden,
  from: number,
  gapAt: number,
  comparison: Comparison,
): void {
  const experts = numbers(golden, 'experts')
  const weights = numbers(golden, 'weights')
  const expected = Array.from(own.experts, (_, slot) => experts[from + slot] as number)
  // Two chosen experts of equal weight may swap: compare by expert.
  const isSame = expected.every((expert) => own.experts.includes(expert))
  if (!isSame) {
    const gap = numbers(golden, 'border_gap')[gapAt] as number
    expect(gap, `experts ${own.experts} differ from ${expected} at entry ${gapAt}`).toBeLessThanOrEqual(
      BORDER_GAP,
    )
    comparison.ambiguous++
    return
  }
  for (const [slot, expert] of expected.entries()) {
    const weight = own.weights[own.experts.indexOf(expert)] as number
    comparison.weightError = Math.max(
      comparison.weightError,
      Math.abs(weight - (weights[from + slot] as number)),
    )
  }
}

function logitError(row: Float32Array, golden: Golden, token: number, isLast: boolean): number {
  let peak = 0
  for (const value of row) peak = Math.max(peak, Math.abs(value))
  let error = 0
  if (isLast) {
    const expected = numbers(golden, 'last_logits')
    for (let id = 0; id < row.length; id++) {
      error = Math.max(error, Math.abs((row[id] as number) - (expected[id] as number)))
    }
  }
  const ids = numbers(golden, 'top_ids')
  const logits = numbers(golden, 'top_logits')
  for (let entry = token * 8; entry < token * 8 + 8; entry++) {
    error = Math.max(error, Math.abs((row[ids[entry] as number] as number) - (logits[entry] as number)))
  }
  return error / peak
}

export function expectWithinBars(comparison: Comparison): void {
  expect(comparison.logitError).toBeLessThanOrEqual(ERROR)
  expect(comparison.weightError).toBeLessThanOrEqual(ERROR)
}

/** Greedy tokens through prefill and decode; must agree up to the first margin below the bar. */
export async function expectGreedy(
  { runner, manifest }: OpenModel,
  prompt: GoldenPrompt,
  limit: number,
): Promise<void> {
  const { vocabularySize } = manifest.blueprint
  const sampling = { temperature: 0, repetitionPenalty: 1 }
  let chunks: ArrayBuffer | undefined
  for await (const step of runner.prefill(prompt.input_ids, 0, { chunkTokens: () => 64, sampling }))
    chunks = step.chunks
  const expected = prompt.greedy.slice(0, limit)
  const close = prompt.greedy_margins.slice(0, limit).findIndex((margin) => margin < GREEDY_MARGIN)
  const sure = close < 0 ? expected : expected.slice(0, close)
  const made: number[] = []
  for (let index = 0; index < sure.length; index++) {
    const id = collectCandidates(chunks as ArrayBuffer, vocabularySize, 0).ids[0] as number
    made.push(id)
    if (index + 1 === sure.length) break
    const position = prompt.input_ids.length + index
    chunks = (await runner.step({ tokens: [id], position, logits: 'last', sampling })).chunks
  }
  expect(made).toEqual(sure)
}
