import { describe, expect, test } from 'vitest'
import { attend, softmax } from './attention.ts'
import { at } from './numbers.ts'
import { rmsNorm } from './rms-norm.ts'
import { rope, ropeTable } from './rope.ts'

describe('attend', () => {
  test('is the softmax-weighted mean of the values, each head with its own key-value head', () => {
    const shape = { heads: 4, kvHeads: 2, headSize: 2 }
    const query = Float64Array.from({ length: 8 }, (_, k) => Math.sin(k + 1))
    const row = (pace: number) => Float64Array.from({ length: 4 }, (_, k) => Math.cos(pace * (k + 1)))
    const keys = [row(0.3), row(0.5), row(0.7)]
    const values = [row(1.1), row(1.3), row(1.7)]
    const y = attend(shape, query, keys, values)
    for (let head = 0; head < 4; head++) {
      const kv = head < 2 ? 0 : 2
      const [q0, q1] = [at(query, 2 * head), at(query, 2 * head + 1)]
      const powers = keys.map((key) => Math.exp((q0 * at(key, kv) + q1 * at(key, kv + 1)) / Math.sqrt(2)))
      const total = powers.reduce((sum, power) => sum + power)
      for (let k = 0; k < 2; k++) {
        const mean = values.reduce(
          (sum, value, p) => sum + ((powers[p] ?? NaN) / total) * at(value, kv + k),
          0,
        )
        expect(y[2 * head + k]).toBeCloseTo(mean, 14)
      }
    }
  })

  test('of one position is its value', () => {
    const value = new Float64Array([3, -4])
    expect(attend({ heads: 1, kvHeads: 1, headSize: 2 }, value, [value], [value])).toEqual(value)
  })
})

test('softmax survives logits that overflow an exponential', () => {
  expect(softmax([1000, 1000 + Math.log(3)])).toEqual([expect.closeTo(0.25, 12), expect.closeTo(0.75, 12)])
})

test('rmsNorm divides by the root of the mean square', () => {
  const y = rmsNorm(new Float64Array([3, 4]), new Float64Array([1, 2]), 0)
  expect(y[0]).toBeCloseTo(3 / Math.sqrt(12.5), 14)
  expect(y[1]).toBeCloseTo(8 / Math.sqrt(12.5), 14)
  expect([...rmsNorm(new Float64Array(2), new Float64Array([1, 1]), 1e-5)]).toEqual([0, 0])
})

describe('rope', () => {
  test('turns neighboring pairs, each at its own pace, and leaves the rest', () => {
    const x = new Float64Array([1, 0, 0, 1, 5, 6, 0, 1, 1, 0, 7, 8])
    const y = rope(x, 6, 4, 100, 3)
    const expected = [Math.cos(3), Math.sin(3), -Math.sin(0.3), Math.cos(0.3), 5, 6]
    const second = [-Math.sin(3), Math.cos(3), Math.cos(0.3), Math.sin(0.3), 7, 8]
    expect([...y]).toEqual([...expected, ...second].map((value) => expect.closeTo(value, 14)))
  })

  test('changes nothing at position 0', () => {
    const x = new Float64Array([1, 2, 3, 4])
    expect(rope(x, 4, 4, 10000, 0)).toEqual(x)
  })

  test('agrees with its table at far positions', () => {
    const table = ropeTable(8192, 4, 100000)
    const y = rope(new Float64Array([1, 0, 1, 0]), 4, 4, 100000, 8191)
    expect([...table.subarray(8191 * 4)]).toEqual([...y])
  })
})
