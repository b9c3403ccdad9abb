import { at, type Numbers } from './numbers.ts'

export interface AttentionShape {
  heads: number
  kvHeads: number
  headSize: number
}

/**
 * Grouped-query attention of one token over the positions it may see: head h reads key-value head
 * ⌊h · kvHeads / heads⌋; scores are q·k / √headSize through softmax.
 * `query` [heads, headSize]; `keys` and `values` one row [kvHeads, headSize] a position, the token's own last.
 */
export function attend(
  shape: AttentionShape,
  query: Numbers,
  keys: readonly Numbers[],
  values: readonly Numbers[],
): Float64Array {
  const { heads, kvHeads, headSize } = shape
  const y = new Float64Array(heads * headSize)
  for (let head = 0; head < heads; head++) {
    const first = Math.floor((head * kvHeads) / heads) * headSize
    const scores = keys.map((key) => {
      let score = 0
      for (let k = 0; k < headSize; k++) score += at(query, head * headSize + k) * at(key, first + k)
      return score / Math.sqrt(headSize)
    })
    const shares = softmax(scores)
    values.forEach((value, position) => {
      for (let k = 0; k < headSize; k++) {
        const index = head * headSize + k
        y[index] = at(y, index) + (shares[position] ?? 0) * at(value, first + k)
      }
    })
  }
  return y
}

/** `exp(x − max) / Σ exp(x − max)`. */
export function softmax(x: readonly number[]): number[] {
  let peak = -Infinity
  for (const value of x) peak = Math.max(peak, value)
  const powers = x.map((value) => Math.exp(value - peak))
  const total = powers.reduce((sum, value) => sum + value, 0)
  return powers.map((value) => value / total)
}
