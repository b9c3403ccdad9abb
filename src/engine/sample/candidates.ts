// From what a kernel tells of the logits, the part of the falling order that is certain.
import { internalError } from '../errors.ts'

/** 4-byte words a chunk record has: four ids, their penalized logits, and four sums. */
export const CHUNK_WORDS = 12
const LISTED = 4
const NO_TOKEN = 0xffffffff
const ID_BITS = 21

/**
 * The largest penalized logits in falling order (ties: lower id first): an exact beginning of the order
 * over the whole vocabulary, with the sums that the rest is needed for.
 */
export interface Candidates {
  ids: Uint32Array
  /** After the repetition penalty. */
  logits: Float32Array
  /** True when every token is listed, except those with logit −∞. */
  isComplete: boolean
  /** Tokens of the vocabulary. */
  vocabularySize: number
  /** Σ exp((l' − largest l') / temperature) over the vocabulary, l' penalized; meaningless at temperature 0. */
  sum: number
  /** log Σ exp l over the vocabulary, l raw. */
  rawLogSum: number
}

/** What turns raw logits into penalized ones. */
export interface Penalty {
  repetitionPenalty: number
  /** Tokens of prompt and answer so far. */
  seen: ReadonlySet<number>
}

/** Positive logits of seen tokens are divided by the penalty, the others multiplied, in f32. */
export function penalize(logit: number, id: number, penalty: Penalty): number {
  if (penalty.repetitionPenalty === 1 || !penalty.seen.has(id)) return logit
  const factor = Math.fround(penalty.repetitionPenalty)
  return Math.fround(logit > 0 ? logit / factor : logit * factor)
}

/** Undoes `penalize` up to rounding. */
export function rawLogit(logit: number, id: number, penalty: Penalty): number {
  if (penalty.repetitionPenalty === 1 || !penalty.seen.has(id)) return logit
  return logit > 0 ? logit * penalty.repetitionPenalty : logit / penalty.repetitionPenalty
}

/**
 * Candidates from chunk records [chunks, 12 words]: u32 ids × 4 (0xffffffff = none), f32 penalized logits
 * × 4 by falling logit, f32 largest raw logit, Σ exp(l − it), largest penalized logit, Σ exp((l' − it) / T).
 * Within a chunk ties are listed by rising id, so a token that is not listed comes after its chunk's fourth:
 * the order is exact down to the first fourth entry of any chunk. Throws `internal` when logits are not finite numbers.
 */
export function collectCandidates(
  records: ArrayBufferLike,
  vocabularySize: number,
  temperature: number,
): Candidates {
  const words = new Uint32Array(records)
  const floats = new Float32Array(records)
  const keys: number[] = []
  let border = -Infinity
  let peak = -Infinity
  let rawPeak = -Infinity
  for (let chunk = 0; chunk + CHUNK_WORDS <= words.length; chunk += CHUNK_WORDS) {
    rawPeak = Math.max(rawPeak, floats[chunk + 8] ?? NaN)
    for (let entry = 0; entry < LISTED; entry++) {
      const id = words[chunk + entry] ?? NO_TOKEN
      const logit = floats[chunk + LISTED + entry] ?? NaN
      if (id === NO_TOKEN) break
      const key = orderKey(logit, id)
      keys.push(key)
      peak = Math.max(peak, logit)
      if (entry === LISTED - 1) border = Math.max(border, key)
    }
  }
  let sum = 0
  let rawSum = 0
  for (let chunk = 0; chunk + CHUNK_WORDS <= words.length; chunk += CHUNK_WORDS) {
    rawSum += (floats[chunk + 9] ?? NaN) * Math.exp((floats[chunk + 8] ?? NaN) - rawPeak)
    const scaled = temperature === 0 ? 0 : ((floats[chunk + 10] ?? NaN) - peak) / temperature
    sum += (floats[chunk + 11] ?? NaN) * Math.exp(scaled)
  }
  checkSum(rawSum)
  const isComplete = border === -Infinity || keys.length === vocabularySize
  const exact = isComplete ? keys : keys.filter((key) => key >= border)
  return {
    ...sortCandidates(Float64Array.from(exact)),
    isComplete,
    vocabularySize,
    sum,
    rawLogSum: rawPeak + Math.log(rawSum),
  }
}

/** Complete candidates from every raw logit. Throws `internal` when logits are not finite numbers. */
export function candidatesFromLogits(
  logits: Float32Array,
  temperature: number,
  penalty: Penalty,
): Candidates {
  const keys = new Float64Array(logits.length)
  let count = 0
  let rawPeak = -Infinity
  for (let id = 0; id < logits.length; id++) {
    const logit = logits[id] ?? NaN
    if (logit === -Infinity) continue
    keys[count] = orderKey(penalize(logit, id, penalty), id)
    rawPeak = Math.max(rawPeak, logit)
    count++
  }
  const sorted = sortCandidates(keys.subarray(0, count))
  const peak = sorted.logits[0] ?? NaN
  let sum = 0
  let rawSum = 0
  for (const logit of sorted.logits) sum += temperature === 0 ? 1 : Math.exp((logit - peak) / temperature)
  for (const logit of logits) rawSum += Math.exp(logit - rawPeak)
  checkSum(rawSum)
  return {
    ...sorted,
    isComplete: true,
    vocabularySize: logits.length,
    sum,
    rawLogSum: rawPeak + Math.log(rawSum),
  }
}

/** One logit that is not a number, or infinite, shows in the sum over all. */
function checkSum(rawSum: number): void {
  if (!Number.isFinite(rawSum)) throw internalError('sample', 'a logit is not a finite number')
}

const scratch = new DataView(new ArrayBuffer(4))

/**
 * Logit and id as one number that rises in the order of choice: 32 bits of the logit, mapped so that
 * integers order as floats do, then 21 bits of the id, reversed. One native sort of plain numbers replaces
 * a comparison function over two arrays, which is many times slower on a whole vocabulary.
 */
function orderKey(logit: number, id: number): number {
  if (id >= 2 ** ID_BITS) throw internalError('sample', `token ${id} is beyond ${2 ** ID_BITS} tokens`)
  // Adding 0 turns −0 into 0, its equal.
  scratch.setFloat32(0, logit + 0)
  const bits = scratch.getUint32(0)
  const ordered = bits < 2 ** 31 ? bits + 2 ** 31 : 2 ** 32 - 1 - bits
  return ordered * 2 ** ID_BITS + (2 ** ID_BITS - 1 - id)
}

function sortCandidates(keys: Float64Array): { ids: Uint32Array; logits: Float32Array } {
  if (keys.length === 0) throw internalError('sample', 'no logit is a finite number')
  keys.sort().reverse()
  const ids = new Uint32Array(keys.length)
  const logits = new Float32Array(keys.length)
  keys.forEach((key, rank) => {
    const ordered = Math.floor(key / 2 ** ID_BITS)
    ids[rank] = 2 ** ID_BITS - 1 - (key - ordered * 2 ** ID_BITS)
    scratch.setUint32(0, ordered >= 2 ** 31 ? ordered - 2 ** 31 : 2 ** 32 - 1 - ordered)
    logits[rank] = scratch.getFloat32(0)
  })
  return { ids, logits }
}
