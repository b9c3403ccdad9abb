import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  DEVICE_KINDS,
  openTestGpu,
  packF32,
  randomNumbers,
  relativeError,
  type TestGpu,
  tile,
  tiledColumn,
} from '../../../test/gpu-fixture.ts'
import {
  AUX,
  BLUEPRINT,
  down,
  FIRST_ROUTE,
  gate,
  innerRows,
  OFFSETS,
  routing,
  STACKED,
  TOKENS,
  tokens,
  up,
} from '../../../test/mpo-fixture.ts'
import { centralColumns, centralRows, mpoColumns, mpoRows } from '../model/blueprint.ts'
import { ffn } from '../reference/ffn.ts'
import { roundUp } from '../store/manifest.ts'
import { makeMatmul } from './matmul.ts'
import { makeMpoLeft, makeMpoRightAct, makeMpoRightSum } from './mpo.ts'
import { type Op, type TileColumns, tileFor } from './op.ts'

describe.each(DEVICE_KINDS)('a mixture of MPO experts on a %s device', (kind) => {
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

  const chains = [1, 2, 3].flatMap((topK) => ([1, 4] as const).map((width) => ({ topK, width })))

  it.each(chains)(
    'is the weighted sum of its experts, top $topK, tokens in tiles of $width',
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
        const mixed = ffn(BLUEPRINT.experts, layer, route, inputs[token] as Float32Array)
        const expected = mixed.map((value, row) => value + (before[token]?.[row] as number))
        expect(relativeError(tiledColumn(actual, token, expected.length, width), expected)).toBeLessThan(5e-6)
      }
    },
  )
})
