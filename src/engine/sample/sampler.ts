// Which token comes next. Order: repetition penalty → temperature → top-k → top-p → min-p → one draw
// over the falling order. In that order every filter keeps a beginning, so sampling finds its length.
import { internalError } from '../errors.ts'
import { type Candidates, candidatesFromLogits, type Penalty, rawLogit } from './candidates.ts'

export interface SamplingOptions {
  /** 0 is greedy. */
  temperature: number
  topP: number
  /** 0 keeps all. */
  topK: number
  minP: number
  repetitionPenalty: number
}

export interface SampledToken {
  id: number
  /** Natural log of the token's probability under the raw logits at temperature 1. */
  logprob: number
}

/**
 * The token for `draw` (in [0, 1); unused when greedy) or `need-all-logits` when the answer lies beyond the
 * exact part of the candidates. `seen` are the tokens that the repetition penalty applied to.
 * Ask again with `sampleFromLogits` and the same draw: another draw would favor the likely tokens.
 */
export function sampleToken(
  candidates: Candidates,
  options: SamplingOptions,
  draw: number,
  seen: ReadonlySet<number>,
): SampledToken | 'need-all-logits' {
  const rank = options.temperature === 0 ? 0 : drawRank(candidates, options, draw)
  if (rank === undefined) return 'need-all-logits'
  const id = candidates.ids[rank] ?? 0
  const penalty: Penalty = { repetitionPenalty: options.repetitionPenalty, seen }
  const raw = rawLogit(candidates.logits[rank] ?? NaN, id, penalty)
  return { id, logprob: Math.min(0, raw - candidates.rawLogSum) }
}

/** The token for `draw` from every raw logit; the same as `sampleToken` gives where that is certain. */
export function sampleFromLogits(
  logits: Float32Array,
  options: SamplingOptions,
  draw: number,
  seen: ReadonlySet<number>,
): SampledToken {
  const penalty: Penalty = { repetitionPenalty: options.repetitionPenalty, seen }
  const candidates = candidatesFromLogits(logits, options.temperature, penalty)
  const token = sampleToken(candidates, options, draw, seen)
  if (token === 'need-all-logits')
    throw internalError('sample', 'complete candidates did not hold the answer')
  return token
}

/** Index of the drawn candidate; undefined when it depends on tokens that are not listed. */
function drawRank(candidates: Candidates, options: SamplingOptions, draw: number): number | undefined {
  const { temperature, topP, topK, minP } = options
  const { logits, isComplete, vocabularySize } = candidates
  const listed = logits.length
  const peak = logits[0] ?? NaN
  // Sums of the first n weights, the largest weight being 1.
  const sums = new Float64Array(listed + 1)
  let minPCount = Infinity
  logits.forEach((logit, rank) => {
    const weight = Math.exp((logit - peak) / temperature)
    sums[rank + 1] = (sums[rank] ?? 0) + weight
    if (weight < minP && rank < minPCount) minPCount = rank
  })
  const sumOf = (count: number): number | undefined => {
    if (count <= listed) return sums[count]
    if (isComplete) return sums[listed]
    return count >= vocabularySize ? candidates.sum : undefined
  }

  const topKCount = topK === 0 ? vocabularySize : Math.min(topK, vocabularySize)
  const topKSum = sumOf(topKCount)
  let topPCount = Infinity
  if (topP < 1) {
    if (topKSum === undefined) return undefined
    topPCount = Math.max(1, firstAtLeast(sums, topP * topKSum))
  }
  const kept = Math.min(topKCount, topPCount, minPCount)
  // A filter that cut nothing in the listed part cuts somewhere beyond it.
  if (!isComplete && kept > listed && (topP < 1 || minP > 0)) return undefined
  const keptSum = sumOf(kept)
  if (keptSum === undefined) return undefined
  const last = Math.min(kept, listed) - 1
  const rank = firstAbove(sums, draw * keptSum)
  if (rank <= last) return rank
  // Rounding of the last sum must not lead beyond what is kept.
  return isComplete || kept <= listed ? last : undefined
}

/** Smallest n with sums[n] ≥ target; infinite when there is none. */
function firstAtLeast(sums: Float64Array, target: number): number {
  const found = sums.findIndex((sum) => sum >= target)
  return found < 0 ? Infinity : found
}

/** Smallest n with sums[n + 1] > target; infinite when there is none. */
function firstAbove(sums: Float64Array, target: number): number {
  const found = sums.findIndex((sum, count) => count > 0 && sum > target)
  return found < 0 ? Infinity : found - 1
}
