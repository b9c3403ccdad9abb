import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  DEVICE_KINDS,
  halfBits,
  openTestGpu,
  packF32,
  randomNumbers,
  relativeError,
  seeded,
  type TestGpu,
  testBlueprint,
  tile,
  tiledColumn,
  tiledIndex,
} from '../../../test/gpu-fixture.ts'
import { auxOffsets, auxRowWords } from '../model/aux-layout.ts'
import { centralColumns, centralRows, type MpoShape, mpoColumns, mpoRows } from '../model/blueprint.ts'
import { stackedRows } from '../model/run-state.ts'
import { unpackAux } from '../reference/dequantize.ts'
import { ffn, silu } from '../reference/ffn.ts'
import { mpoLeft, mpoRight } from '../reference/mpo.ts'
import { roundUp } from '../store/manifest.ts'
import { makeMatmul } from './matmul.ts'
import { makeMpoLeft, makeMpoRightAct, makeMpoRightSum } from './mpo.ts'
import { type Op, type TileColumns, tileFor } from './op.ts'

const BLUEPRINT = testBlueprint()
const { experts } = BLUEPRINT
const { gate, up, down, count: EXPERTS } = experts
const OFFSETS = auxOffsets(experts)
const STACKED = stackedRows(BLUEPRINT)
const TOKENS = 5
/** Routes of other layers lie before these. */
const FIRST_ROUTE = 3

const tokens = Array.from({ length: TOKENS }, (_, token) => token)

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

const AUX = auxiliaries()

/** Expert `expert`'s rows of a stacked tensor. */
function slice(numbers: Float32Array, expert: number): Float32Array {
  const size = numbers.length / EXPERTS
  return numbers.subarray(expert * size, (expert + 1) * size)
}

/** Different experts for every token, the first and the last among them; weights that differ. */
function routing(topK: number) {
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
function innerRows(inputs: readonly ArrayLike<number>[], shape: MpoShape): Float32Array<ArrayBuffer> {
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

const CASES = ([1, 2, 4] as const).flatMap((width) => [1, 2, 3].map((topK) => ({ width, topK })))

describe.each(DEVICE_KINDS)('MPO sweeps on a %s device', (kind) => {
  let gpu: TestGpu
  let aux: GPUBuffer
  beforeAll(async () => {
    gpu = await openTestGpu(kind)
    aux = gpu.buffer(AUX.bytes)
  })
  afterAll(() => gpu.close())

  function sweep(topK: number, width: TileColumns) {
    const { chosen, words, pairs } = routing(topK)
    const options = {
      topK,
      firstRoute: FIRST_ROUTE,
      routes: gpu.buffer(words),
      auxiliaries: aux,
      tile: width,
    }
    return { chosen, pairs, options }
  }

  it.each(CASES)('multiply gate and up L, tiles of $width, top $topK', async ({ width, topK }) => {
    const { pairs, options } = sweep(topK, width)
    const xs = tokens.map((token) => randomNumbers(mpoColumns(gate), 30 + token))
    const length = centralColumns(gate)
    const matrixStride = roundUp(pairs.length, width) * length + 8
    const u = gpu.poisoned(2 * matrixStride)
    const x = gpu.buffer(innerRows(xs, gate))
    const offsets: [number, number] = [OFFSETS.gateLeft, OFFSETS.upLeft]
    const op = await makeMpoLeft(gpu.context, {
      ...options,
      shape: gate,
      offsets,
      x,
      pairsPerInput: topK,
      u,
      matrixStride,
    })
    const actual = await gpu.run([op], { position: 0, count: TOKENS }, u)
    for (const [pair, expert] of pairs.entries()) {
      const input = xs[Math.floor(pair / topK)] as Float32Array
      for (const [matrix, { left }] of [AUX.gate, AUX.up].entries()) {
        const column = tiledColumn(actual.subarray(matrix * matrixStride), pair, length, width)
        expect(relativeError(column, mpoLeft(gate, slice(left, expert), input))).toBeLessThan(2e-6)
      }
    }
    expect(actual.reduce((sum, value) => sum + (Number.isNaN(value) ? 0 : 1), 0)).toBe(
      2 * pairs.length * length,
    )
  })

  it.each(CASES)(
    'multiply down L with an input a pair, tiles of $width, top $topK',
    async ({ width, topK }) => {
      const { pairs, options } = sweep(topK, width)
      const hs = pairs.map((_, pair) => randomNumbers(mpoColumns(down), 130 + pair))
      const length = centralColumns(down)
      const u = gpu.poisoned(roundUp(pairs.length, width) * length)
      const x = gpu.buffer(innerRows(hs, down))
      const rest = {
        shape: down,
        offsets: [OFFSETS.downLeft] as [number],
        x,
        pairsPerInput: 1,
        u,
        matrixStride: 0,
      }
      const op = await makeMpoLeft(gpu.context, { ...options, ...rest })
      const actual = await gpu.run([op], { position: 0, count: TOKENS }, u)
      for (const [pair, expert] of pairs.entries()) {
        const expected = mpoLeft(down, slice(AUX.down.left, expert), hs[pair] as Float32Array)
        expect(relativeError(tiledColumn(actual, pair, length, width), expected)).toBeLessThan(2e-6)
      }
    },
  )

  it.each(CASES)(
    'multiply gate and up R and activate, tiles of $width, top $topK',
    async ({ width, topK }) => {
      const { pairs, options } = sweep(topK, width)
      const vs = pairs.map((_, pair) => randomNumbers(STACKED.rows, 230 + pair).map((value) => value * 3))
      const stride = auxRowWords(down.columnLeft) * 8
      const h = gpu.poisoned(pairs.length * down.columnCenter * stride)
      const op = await makeMpoRightAct(gpu.context, {
        ...options,
        gate,
        up,
        down,
        offsets: [OFFSETS.gateRight, OFFSETS.upRight],
        v: gpu.buffer(tile(vs, width)),
        vRows: STACKED.rows,
        vSecond: STACKED.second,
        h,
      })
      const actual = await gpu.run([op], { position: 0, count: TOKENS }, h)
      for (const [pair, expert] of pairs.entries()) {
        const v = vs[pair] as Float32Array
        const first = mpoRight(gate, slice(AUX.gate.right, expert), v)
        const second = mpoRight(up, slice(AUX.up.right, expert), v.subarray(STACKED.second))
        const expected = first.map((value, k) => silu(value) * (second[k] as number))
        const column = Array.from(expected, (_, k) => {
          const [left, center] = [Math.floor(k / down.columnCenter), k % down.columnCenter]
          return actual[(pair * down.columnCenter + center) * stride + left] as number
        })
        expect(relativeError(column, expected)).toBeLessThan(4e-6)
      }
      // The padding of inner rows is left as it was.
      const written = pairs.length * mpoRows(gate)
      expect(actual.reduce((sum, value) => sum + (Number.isNaN(value) ? 0 : 1), 0)).toBe(written)
    },
  )

  const sums = CASES.flatMap((options) => ([1, 4] as const).map((tokenTile) => ({ ...options, tokenTile })))

  it.each(sums)(
    'add weighted down R, tiles of $width and $tokenTile, top $topK',
    async ({ width, topK, tokenTile }) => {
      const { chosen, pairs, options } = sweep(topK, width)
      const vRows = centralRows(down)
      const vs = pairs.map((_, pair) => randomNumbers(vRows, 330 + pair))
      const before = tokens.map((token) => randomNumbers(mpoRows(down), 430 + token))
      const x = gpu.buffer(tile(before, tokenTile, Number.NaN))
      const v = gpu.buffer(tile(vs, width))
      const rest = { shape: down, offset: OFFSETS.downRight, v, vRows, x, tokenTile }
      const op = await makeMpoRightSum(gpu.context, { ...options, ...rest })
      const actual = await gpu.run([op], { position: 0, count: TOKENS }, x)
      for (const [token, { experts: ids, weights }] of chosen.entries()) {
        const expected = Float64Array.from(before[token] as Float32Array)
        for (const [slot, expert] of ids.entries()) {
          const part = mpoRight(down, slice(AUX.down.right, expert), vs[token * topK + slot] as Float32Array)
          for (const [row, value] of part.entries())
            expected[row] = (expected[row] as number) + (weights[slot] as number) * value
        }
        expect(relativeError(tiledColumn(actual, token, expected.length, tokenTile), expected)).toBeLessThan(
          2e-6,
        )
      }
      for (let column = TOKENS; column < roundUp(TOKENS, tokenTile); column++) {
        expect(actual[tiledIndex(column, 0, mpoRows(down), tokenTile)]).toBeNaN()
      }
    },
  )

  const chains = [1, 2, 3].flatMap((topK) => ([1, 4] as const).map((width) => ({ topK, width })))

  it.each(chains)(
    'make the mixture with the central products, top $topK, tokens in tiles of $width',
    async ({ topK, width }) => {
      const pairTile: TileColumns = width === 1 ? tileFor(topK) : 4
      const { chosen, pairs, options } = sweep(topK, pairTile)
      const central = {
        gate: randomNumbers(centralRows(gate) * centralColumns(gate), 51),
        up: randomNumbers(centralRows(up) * centralColumns(up), 52),
        down: randomNumbers(centralRows(down) * centralColumns(down), 53),
      }
      const stacked = new Float32Array(STACKED.rows * centralColumns(gate))
      stacked.set(central.gate)
      stacked.set(central.up, STACKED.second * centralColumns(gate))
      const gateUp = gpu.matrix(packF32(stacked, STACKED.rows, centralColumns(gate)))
      const downMatrix = gpu.matrix(packF32(central.down, centralRows(down), centralColumns(down)))
      const inputs = tokens.map((token) => randomNumbers(mpoColumns(gate), 630 + token))
      const before = tokens.map((token) => randomNumbers(mpoRows(down), 730 + token))
      const columns = roundUp(pairs.length, 4)
      const uStride = columns * centralColumns(gate)
      const u = gpu.poisoned(Math.max(2 * uStride, columns * centralColumns(down)))
      const v = gpu.poisoned(columns * Math.max(STACKED.rows, centralRows(down)))
      // Padding zero, the rest poisoned.
      const h = gpu.buffer(
        innerRows(
          pairs.map(() => new Float32Array(mpoColumns(down)).fill(Number.NaN)),
          down,
        ),
      )
      const x = gpu.buffer(tile(before, width))
      const input = gpu.buffer(innerRows(inputs, gate))
      const ops: Op[] = await Promise.all([
        makeMpoLeft(gpu.context, {
          ...options,
          shape: gate,
          offsets: [OFFSETS.gateLeft, OFFSETS.upLeft],
          x: input,
          pairsPerInput: topK,
          u,
          matrixStride: uStride,
        }),
        makeMatmul(gpu.context, {
          matrix: gateUp,
          input: u,
          output: v,
          tile: pairTile,
          columnsPerToken: topK,
          splitRow: STACKED.second,
          splitElements: uStride,
        }),
        makeMpoRightAct(gpu.context, {
          ...options,
          gate,
          up,
          down,
          offsets: [OFFSETS.gateRight, OFFSETS.upRight],
          v,
          vRows: STACKED.rows,
          vSecond: STACKED.second,
          h,
        }),
        makeMpoLeft(gpu.context, {
          ...options,
          shape: down,
          offsets: [OFFSETS.downLeft],
          x: h,
          pairsPerInput: 1,
          u,
          matrixStride: 0,
        }),
        makeMatmul(gpu.context, {
          matrix: downMatrix,
          input: u,
          output: v,
          tile: pairTile,
          columnsPerToken: topK,
        }),
        makeMpoRightSum(gpu.context, {
          ...options,
          shape: down,
          offset: OFFSETS.downRight,
          v,
          vRows: centralRows(down),
          x,
          tokenTile: width,
        }),
      ])
      const actual = await gpu.run(ops, { position: 0, count: TOKENS }, x)
      const layer = {
        gate: { ...AUX.gate, central: central.gate },
        up: { ...AUX.up, central: central.up },
        down: { ...AUX.down, central: central.down },
      }
      for (const [token, route] of chosen.entries()) {
        const mixed = ffn(experts, layer, route, inputs[token] as Float32Array)
        const expected = mixed.map((value, row) => value + (before[token]?.[row] as number))
        expect(relativeError(tiledColumn(actual, token, expected.length, width), expected)).toBeLessThan(5e-6)
      }
    },
  )
})
