import type { MpoExperts, MpoShape } from '../model/blueprint.ts'
import { mpoMultiply } from './mpo.ts'
import { at, type Numbers } from './numbers.ts'
import type { Route } from './route.ts'

/** One matrix of a layer's experts: auxiliaries of all experts, [experts, …], around one central tensor. */
export interface MpoMatrix {
  left: Numbers
  central: Numbers
  right: Numbers
}

export interface MpoLayer {
  gate: MpoMatrix
  up: MpoMatrix
  down: MpoMatrix
}

/** `x / (1 + e^(−x))`. */
export function silu(x: number): number {
  return x / (1 + Math.exp(-x))
}

/** One expert: `W_down · (silu(W_gate · x) ⊙ (W_up · x))`. */
export function expert(experts: MpoExperts, layer: MpoLayer, index: number, x: Numbers): Float64Array {
  const gate = times(experts.gate, layer.gate, index, x)
  const up = times(experts.up, layer.up, index, x)
  const hidden = gate.map((value, k) => silu(value) * at(up, k))
  return times(experts.down, layer.down, index, hidden)
}

function times(shape: MpoShape, matrix: MpoMatrix, index: number, x: Numbers): Float64Array {
  const left = shape.leftBond * shape.columnLeft
  const right = shape.rowRight * shape.rightBond
  return mpoMultiply(
    shape,
    matrix.left.subarray(index * left, (index + 1) * left),
    matrix.central,
    matrix.right.subarray(index * right, (index + 1) * right),
    x,
  )
}

/** The layer's mixture: `Σ weight_e · expert_e(x)` over the chosen experts. */
export function ffn(experts: MpoExperts, layer: MpoLayer, chosen: Route, x: Numbers): Float64Array {
  const y = new Float64Array(x.length)
  chosen.experts.forEach((index, slot) => {
    const part = expert(experts, layer, index, x)
    for (let k = 0; k < y.length; k++) y[k] = at(y, k) + (chosen.weights[slot] ?? 0) * at(part, k)
  })
  return y
}
