/** A generator of numbers in [0, 1) with 53 random bits each. */
export type Rng = () => number

/**
 * xoshiro128** (Blackman and Vigna), its state filled from the seed's two halves by SplitMix32: the same seed gives the
 * same numbers on every machine. A number takes two outputs: 27 high bits and 26 low bits.
 * `seed` is any safe integer.
 */
export function createRng(seed: number): Rng {
  const low = splitMix32(seed >>> 0)
  const high = splitMix32(Math.floor(seed / 2 ** 32) ^ 0x5bd1e995)
  let [a, b, c, d] = [low(), low(), high(), high()]
  function next(): number {
    const product = Math.imul(b, 5)
    const result = Math.imul((product << 7) | (product >>> 25), 9) >>> 0
    const shifted = b << 9
    c ^= a
    d ^= b
    b ^= c
    a ^= d
    c ^= shifted
    d = (d << 11) | (d >>> 21)
    return result
  }
  return () => ((next() >>> 5) * 2 ** 26 + (next() >>> 6)) / 2 ** 53
}

function splitMix32(start: number): () => number {
  let state = start
  return () => {
    state = (state + 0x9e3779b9) | 0
    let mixed = state ^ (state >>> 16)
    mixed = Math.imul(mixed, 0x21f0aaad)
    mixed ^= mixed >>> 15
    mixed = Math.imul(mixed, 0x735a2d97)
    return mixed ^ (mixed >>> 15)
  }
}

/** A seed nobody chose, 32 bits. */
export function randomSeed(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0] ?? 0
}
