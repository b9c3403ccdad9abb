// A layer of MPO experts of unequal sizes, with routing, as the sweeps of its tests read them.
import { auxOffsets, auxRowWords } from '../src/engine/model/aux-layout.ts'
import { type MpoShape, mpoColumns } from '../src/engine/model/blueprint.ts'
import { stackedRows } from '../src/engine/model/run-state.ts'
import { unpackAux } from '../src/engine/reference/dequantize.ts'
import { halfBits, seeded, testBlueprint } from './gpu-fixture.ts'

export const BLUEPRINT = testBlueprint()
export const { gate, up, down, count: EXPERTS } = BLUEPRINT.experts
export const OFFSETS = auxOffsets(BLUEPRINT.experts)
export const STACKED = stackedRows(BLUEPRINT)
export const TOKENS = 5
/** Routes of other layers lie before these. */
export const FIRST_ROUTE = 3

export const tokens = Array.from({ length: TOKENS }, (_, token) => token)

/** Auxiliary tensors of a layer as the GPU has them, rows padded with zeros; and as numbers. */
function auxiliaries() {
  const halves = new Uint16Array(OFFSETS.totalWords * 8)
  const next = seeded(77)
  const part = (firstWord: number, rows: number, columns: number) => {
    const stride = auxRowWords(columns) * 8
    for (let row = 0; row < rows; row++) {
      for (let k = 0; k < columns; k++) halves[firstWord * 8 + row * stride + k] = halfBits(next())
    }
    return unpackAux(rows, columns, new Uint8Array(halves.buffer, firstWord * 16))
  }
  const left = (at: number, shape: MpoShape) => part(at, EXPERTS * shape.leftBond, shape.columnLeft)
  const right = (at: number, shape: MpoShape) => part(at, EXPERTS * shape.rowRight, shape.rightBond)
  return {
    gate: { left: left(OFFSETS.gateLeft, gate), right: right(OFFSETS.gateRight, gate) },
    up: { left: left(OFFSETS.upLeft, up), right: right(OFFSETS.upRight, up) },
    down: { left: left(OFFSETS.downLeft, down), right: right(OFFSETS.downRight, down) },
    bytes: new Uint8Array(halves.buffer),
  }
}

export const AUX = auxiliaries()

/** Expert `expert`'s rows of a stacked tensor. */
export function slice(numbers: Float32Array, expert: number): Float32Array {
  const size = numbers.length / EXPERTS
  return numbers.subarray(expert * size, (expert + 1) * size)
}

/** Different experts for every token, the first and the last among them; weights that differ. */
export function routing(topK: number) {
  const chosen = tokens.map((token) => {
    const ids = Array.from({ length: topK }, (_, slot) => (token * 2 + slot * 3 + 4) % EXPERTS)
    return {
      experts: ids,
      weights: ids.map((_, slot) => Math.fround(0.7 / (slot + 1) + token / 50)),
      borderGap: 1,
    }
  })
  const words = new Uint32Array(2 * (FIRST_ROUTE + TOKENS * topK)).fill(0xffffffff)
  const numbers = new Float32Array(words.buffer)
  for (const [token, { experts: ids, weights }] of chosen.entries()) {
    for (let slot = 0; slot < topK; slot++) {
      const at = 2 * (FIRST_ROUTE + token * topK + slot)
      words[at] = ids[slot] as number
      numbers[at + 1] = weights[slot] as number
    }
  }
  return { chosen, words, pairs: chosen.flatMap(({ experts: ids }) => ids) }
}

/** x[j_l, j_c] of several inputs as left sweeps read it: [inputs, center, padded left], padding zero. */
export function innerRows(inputs: readonly ArrayLike<number>[], shape: MpoShape): Float32Array<ArrayBuffer> {
  const stride = auxRowWords(shape.columnLeft) * 8
  const rows = new Float32Array(inputs.length * shape.columnCenter * stride)
  for (const [input, x] of inputs.entries()) {
    for (let k = 0; k < mpoColumns(shape); k++) {
      const [left, center] = [Math.floor(k / shape.columnCenter), k % shape.columnCenter]
      rows[(input * shape.columnCenter + center) * stride + left] = x[k] as number
    }
  }
  return rows
}
