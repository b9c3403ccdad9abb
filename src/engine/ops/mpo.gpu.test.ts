import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  DEVICE_KINDS,
  openTestGpu,
  randomNumbers,
  relativeError,
  type TestGpu,
  tile,
  tiledColumn,
  tiledIndex,
} from '../../../test/gpu-fixture.ts'
import {
  AUX,
  down,
  FIRST_ROUTE,
  gate,
  innerRows,
  OFFSETS,
  routing,
  STACKED,
  slice,
  TOKENS,
  tokens,
  up,
} from '../../../test/mpo-fixture.ts'
import { auxRowWords } from '../model/aux-layout.ts'
import { centralColumns, centralRows, mpoColumns, mpoRows } from '../model/blueprint.ts'
import { silu } from '../reference/ffn.ts'
import { mpoLeft, mpoRight } from '../reference/mpo.ts'
import { roundUp } from '../store/manifest.ts'
import { makeMpoLeft, makeMpoRightAct, makeMpoRightSum } from './mpo.ts'
import type { TileColumns } from './op.ts'

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
})
