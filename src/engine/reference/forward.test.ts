import { describe, expect, test } from 'vitest'
import { type Blueprint, centralColumns, centralRows, mpoColumns, mpoRows } from '../model/blueprint.ts'
import { ffn, silu } from './ffn.ts'
import { createReferenceCache, type ReferenceWeights, referenceForward } from './forward.ts'
import { at, multiply } from './numbers.ts'

const BLUEPRINT: Blueprint = {
  architecture: 'mpoe-llama',
  layers: 2,
  hiddenSize: 12,
  heads: 4,
  kvHeads: 2,
  headSize: 4,
  ffnSize: 10,
  vocabularySize: 9,
  contextTokens: 16,
  rmsEps: 1e-5,
  ropeBase: 10000,
  ropeDimensions: 4,
  tiedHead: true,
  router: { score: 'softmax', topK: 2, renormalize: true, scale: 1 },
  experts: {
    kind: 'mpo-skew',
    count: 3,
    gate: { rowCenter: 5, rowRight: 2, columnLeft: 3, columnCenter: 4, leftBond: 3, rightBond: 2 },
    up: { rowCenter: 2, rowRight: 5, columnLeft: 6, columnCenter: 2, leftBond: 6, rightBond: 5 },
    down: { rowCenter: 3, rowRight: 4, columnLeft: 2, columnCenter: 5, leftBond: 2, rightBond: 4 },
  },
}

let seed = 1
function noise(count: number): Float32Array {
  return Float32Array.from({ length: count }, () => {
    seed = (seed * 48271) % 2147483647
    return seed / 2147483647 - 0.5
  })
}

/** `count` identity matrices, the auxiliaries of a model that is its dense base. */
function identities(count: number, size: number): Float32Array {
  return Float32Array.from({ length: count * size * size }, (_, k) =>
    (k % size ** 2) % (size + 1) === 0 ? 1 : 0,
  )
}

function makeWeights(auxiliaries: 'identity' | 'random'): Record<string, Float32Array> {
  const { hiddenSize: hidden, heads, kvHeads, headSize, experts } = BLUEPRINT
  const weights: Record<string, Float32Array> = {
    'token_embd.weight': noise(BLUEPRINT.vocabularySize * hidden),
    'output_norm.weight': noise(hidden),
  }
  for (let layer = 0; layer < BLUEPRINT.layers; layer++) {
    const set = (name: string, numbers: Float32Array) => {
      weights[`blk.${layer}.${name}.weight`] = numbers
    }
    set('attn_norm', noise(hidden))
    set('ffn_norm', noise(hidden))
    set('attn_q', noise(heads * headSize * hidden))
    set('attn_k', noise(kvHeads * headSize * hidden))
    set('attn_v', noise(kvHeads * headSize * hidden))
    set('attn_output', noise(hidden * heads * headSize))
    set('ffn_gate_inp', noise(experts.count * hidden))
    for (const name of ['gate', 'up', 'down'] as const) {
      const shape = experts[name]
      const make =
        auxiliaries === 'identity' ? identities : (n: number, size: number) => noise(n * size * size)
      set(`ffn_${name}_mpo_left`, make(experts.count, shape.columnLeft))
      set(`ffn_${name}_mpo_central`, noise(centralRows(shape) * centralColumns(shape)))
      set(`ffn_${name}_mpo_right`, make(experts.count, shape.rowRight))
    }
  }
  return weights
}

describe('referenceForward', () => {
  const weights = makeWeights('random')
  const ids = [3, 1, 4, 1, 5]

  test('continues from a cache as if it had read everything at once', () => {
    const whole = referenceForward(BLUEPRINT, weights, ids)
    const cache = createReferenceCache(BLUEPRINT)
    const first = referenceForward(BLUEPRINT, weights, ids.slice(0, 2), { cache })
    const second = referenceForward(BLUEPRINT, weights, ids.slice(2), { cache })
    expect([...first.logits, ...second.logits]).toEqual(whole.logits)
    expect(first.routing.map((routes, layer) => [...routes, ...(second.routing[layer] ?? [])])).toEqual(
      whole.routing,
    )
    expect(cache.keys.map((rows) => rows.length)).toEqual([5, 5])
  })

  test('sees the past and not the future', () => {
    const changed = referenceForward(BLUEPRINT, weights, [3, 1, 4, 1, 6]).logits
    const original = referenceForward(BLUEPRINT, weights, ids).logits
    expect(changed.slice(0, 4)).toEqual(original.slice(0, 4))
    expect(referenceForward(BLUEPRINT, weights, [2, 1, 4, 1, 5]).logits[4]).not.toEqual(original[4])
  })

  test('uses forced experts, and its own choice forced changes nothing', () => {
    const own = referenceForward(BLUEPRINT, weights, ids)
    const forcedExperts = own.routing.map((routes) => routes.map((chosen) => chosen.experts))
    expect(referenceForward(BLUEPRINT, weights, ids, { forcedExperts }).logits).toEqual(own.logits)
    const others = forcedExperts.map((tokens) => tokens.map(([a = 0, b = 0]) => [a, 3 - a - b]))
    const forced = referenceForward(BLUEPRINT, weights, ids, { forcedExperts: others })
    expect(forced.routing[1]?.[4]?.experts).toEqual(others[1]?.[4])
    expect(forced.logits).not.toEqual(own.logits)
  })

  test('refuses a tensor that is missing or has the wrong size', () => {
    const missing: ReferenceWeights = { ...weights, 'blk.1.attn_k.weight': new Float32Array(7) }
    expect(() => referenceForward(BLUEPRINT, missing, ids)).toThrow(
      'blk.1.attn_k.weight has 7 numbers instead of 96',
    )
    const { 'output_norm.weight': _, ...rest } = weights
    expect(() => referenceForward(BLUEPRINT, rest, ids)).toThrow('output_norm.weight has 0 numbers')
  })
})

test('experts with identity auxiliaries are one dense SwiGLU', () => {
  const weights = makeWeights('identity')
  const get = (name: string) => weights[`blk.0.ffn_${name}.weight`] ?? new Float32Array()
  const matrix = (name: string) => ({
    left: get(`${name}_mpo_left`),
    central: get(`${name}_mpo_central`),
    right: get(`${name}_mpo_right`),
  })
  const layer = { gate: matrix('gate'), up: matrix('up'), down: matrix('down') }
  const { gate, down } = BLUEPRINT.experts
  const x = Float64Array.from(noise(mpoColumns(gate)))
  const up = multiply(layer.up.central, mpoRows(gate), x)
  const hidden = multiply(layer.gate.central, mpoRows(gate), x).map((value, k) => silu(value) * at(up, k))
  const dense = multiply(layer.down.central, mpoRows(down), hidden)
  const mixed = ffn(BLUEPRINT.experts, layer, { experts: [2, 0], weights: [0.75, 0.25], borderGap: 0 }, x)
  expect([...mixed]).toEqual([...dense].map((value) => expect.closeTo(value, 12)))
})
