// The reference against the float32 oracle: one whole prompt of one token and the beginning of a longer
// one; with SWITCHYARD_FULL=1 every prompt to its end.
import { beforeAll, describe, expect, test } from 'vitest'
import type { Blueprint } from '../../src/engine/model/blueprint.ts'
import { type ReferenceWeights, referenceForward } from '../../src/engine/reference/forward.ts'
import { readBlueprint, readDenseWeights } from '../fixtures/default-model.ts'
import { readSafetensors } from '../fixtures/read-safetensors.ts'

const FULL = process.env['SWITCHYARD_FULL'] === '1'
const TIMEOUT_MS = 600_000
const BORDER = 1e-4

let blueprint: Blueprint
let weights: ReferenceWeights
beforeAll(() => {
  blueprint = readBlueprint()
  weights = readDenseWeights()
}, TIMEOUT_MS)

describe('referenceForward on the default model', () => {
  test.each([
    ['single', 1],
    ['code', FULL ? 10 : 3],
    ['capital', FULL ? 37 : 3],
  ])(
    'agrees with the oracle on prompt %s, %i tokens',
    (name, tokens) => {
      const golden = readSafetensors(new URL(`../fixtures/golden/${name}.safetensors`, import.meta.url))
      const read = (key: string, index: number) => golden[key]?.numbers[index] ?? NaN
      const length = golden['input_ids']?.numbers.length ?? 0
      const ids = Array.from({ length: tokens }, (_, k) => read('input_ids', k))
      const { logits, routing } = referenceForward(blueprint, weights, ids)
      let compared = 0
      routing.forEach((routes, layer) => {
        routes.forEach((chosen, token) => {
          if (read('border_gap', layer * length + token) <= BORDER) return
          const first = (layer * length + token) * 2
          expect([layer, token, ...chosen.experts]).toEqual([
            layer,
            token,
            read('experts', first),
            read('experts', first + 1),
          ])
          expect(chosen.weights[0]).toBeCloseTo(read('weights', first), 4)
          compared++
        })
      })
      expect(compared).toBeGreaterThan(0.9 * tokens * blueprint.layers)
      logits.forEach((row, token) => {
        const peak = row.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0)
        for (let rank = 0; rank < 8; rank++) {
          const error = (row[read('top_ids', token * 8 + rank)] ?? NaN) - read('top_logits', token * 8 + rank)
          expect(Math.abs(error) / peak).toBeLessThan(1e-4)
        }
        if (token !== length - 1) return
        const error = row.reduce(
          (worst, value, id) => Math.max(worst, Math.abs(value - read('last_logits', id))),
          0,
        )
        expect(error / peak).toBeLessThan(1e-4)
      })
    },
    TIMEOUT_MS,
  )
})
