import { at, type Numbers } from './numbers.ts'

/**
 * Rotary embedding of heads [heads, headSize] at a position: the pair (2i, 2i+1) of a head turns by
 * `position · base^(−2i/dimensions)`; elements from `dimensions` on stay.
 */
export function rope(
  x: Numbers,
  headSize: number,
  dimensions: number,
  base: number,
  position: number,
): Float64Array {
  const y = new Float64Array(x)
  for (let head = 0; head < x.length / headSize; head++) {
    for (let pair = 0; pair < dimensions / 2; pair++) {
      const angle = position * base ** ((-2 * pair) / dimensions)
      const even = head * headSize + 2 * pair
      y[even] = at(x, even) * Math.cos(angle) - at(x, even + 1) * Math.sin(angle)
      y[even + 1] = at(x, even) * Math.sin(angle) + at(x, even + 1) * Math.cos(angle)
    }
  }
  return y
}

/** Cos and sin of every angle, [positions, dimensions / 2, 2]: what kernels read instead of WGSL's own. */
export function ropeTable(positions: number, dimensions: number, base: number): Float64Array {
  const table = new Float64Array(positions * dimensions)
  for (let position = 0; position < positions; position++) {
    for (let pair = 0; pair < dimensions / 2; pair++) {
      const angle = position * base ** ((-2 * pair) / dimensions)
      table[position * dimensions + 2 * pair] = Math.cos(angle)
      table[position * dimensions + 2 * pair + 1] = Math.sin(angle)
    }
  }
  return table
}
