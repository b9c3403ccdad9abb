import { expect, test } from 'vitest'
import { createRng, randomSeed } from './rng.ts'

test('the same seed gives the same numbers, another seed others', () => {
  const take = (seed: number) => Array.from({ length: 4 }, createRng(seed))
  expect(take(42)).toEqual(take(42))
  const seeds = [0, 1, -1, 2 ** 31, 2 ** 32, 2 ** 32 + 1, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER]
  expect(new Set(seeds.map((seed) => take(seed).join())).size).toBe(seeds.length)
})

test('the numbers for a seed never change between versions', () => {
  expect(Array.from({ length: 3 }, createRng(1))).toEqual([
    0.09156953390274447, 0.6163821508173467, 0.18811346601824586,
  ])
})

test('numbers are even on [0, 1), use 53 bits, and do not follow each other', () => {
  const rng = createRng(7)
  const counts = new Array<number>(16).fill(0)
  const pairs = new Array<number>(16).fill(0)
  let previous = rng()
  let fine = 0
  for (let draw = 0; draw < 32000; draw++) {
    const value = rng()
    expect(value >= 0 && value < 1).toBe(true)
    counts[Math.floor(value * 16)] = (counts[Math.floor(value * 16)] ?? 0) + 1
    const pair = Math.floor(previous * 4) * 4 + Math.floor(value * 4)
    pairs[pair] = (pairs[pair] ?? 0) + 1
    if (value * 2 ** 40 !== Math.floor(value * 2 ** 40)) fine++
    previous = value
  }
  // Expected 2000 a bin, standard deviation 43; five of them leave no chance to a sound generator.
  for (const count of [...counts, ...pairs]) expect(Math.abs(count - 2000)).toBeLessThan(217)
  expect(fine).toBeGreaterThan(31900)
})

test('a random seed is a whole number of 32 bits', () => {
  const seed = randomSeed()
  expect(Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32).toBe(true)
})
