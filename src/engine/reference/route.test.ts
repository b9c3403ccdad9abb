import { describe, expect, test } from 'vitest'
import type { RouterDescription } from '../model/blueprint.ts'
import { route } from './route.ts'

const TOP2: RouterDescription = { score: 'softmax', topK: 2, renormalize: true, scale: 1 }

describe('route', () => {
  test('takes the largest two and renormalizes their shares', () => {
    const { experts, weights, borderGap } = route(TOP2, new Float64Array([0, Math.log(5), Math.log(3), 0]))
    expect(experts).toEqual([1, 2])
    expect(weights[0]).toBeCloseTo(5 / 8, 14)
    expect(weights[1]).toBeCloseTo(3 / 8, 14)
    expect(borderGap).toBeCloseTo(0.2, 14)
  })

  test('breaks ties toward the lower index, at the border and inside', () => {
    expect(route(TOP2, new Float64Array([1, 2, 2, 2])).experts).toEqual([1, 2])
    expect(route(TOP2, new Float64Array([2, 3, 2, 2])).experts).toEqual([1, 0])
    expect(route(TOP2, new Float64Array([7, 7, 7, 7]))).toEqual({
      experts: [0, 1],
      weights: [0.5, 0.5],
      borderGap: 0,
    })
  })

  test('keeps shares of all experts without renormalization, and scales', () => {
    const { weights } = route(
      { ...TOP2, renormalize: false, scale: 10 },
      new Float64Array([0, Math.log(2), 0]),
    )
    expect(weights[0]).toBeCloseTo(5, 14)
    expect(weights[1]).toBeCloseTo(2.5, 14)
  })

  test('scores by sigmoid or not at all', () => {
    const logits = new Float64Array([0, Math.log(3)])
    const sigmoid = route({ ...TOP2, score: 'sigmoid', renormalize: false }, logits)
    expect(sigmoid.weights[0]).toBeCloseTo(0.75, 14)
    expect(sigmoid.weights[1]).toBeCloseTo(0.5, 14)
    expect(route({ ...TOP2, score: 'none', renormalize: false }, logits).weights).toEqual([Math.log(3), 0])
  })

  test('weighs forced experts by its own scores', () => {
    const { experts, weights } = route(TOP2, new Float64Array([0, Math.log(5), Math.log(3), 0]), [3, 2])
    expect(experts).toEqual([3, 2])
    expect(weights[0]).toBeCloseTo(1 / 4, 14)
    expect(weights[1]).toBeCloseTo(3 / 4, 14)
  })

  test('has no border when every expert is chosen', () => {
    expect(route({ ...TOP2, topK: 3 }, new Float64Array([1, 2, 3])).borderGap).toBe(Infinity)
  })
})
