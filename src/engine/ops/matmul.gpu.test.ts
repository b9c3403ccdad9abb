import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  DEVICE_KINDS,
  openTestGpu,
  randomMatrix,
  randomNumbers,
  relativeError,
  type TestGpu,
  tile,
  tiledColumn,
  tiledIndex,
} from '../../../test/gpu-fixture.ts'
import { unpackRows32 } from '../reference/dequantize.ts'
import type { PackedFormat } from '../store/manifest.ts'
import { makeMatmul } from './matmul.ts'
import type { TileColumns } from './op.ts'

const FORMATS: PackedFormat[] = ['q4_1', 'q8_0', 'f16', 'f32']

function product(weights: Float32Array, rows: number, x: ArrayLike<number>): number[] {
  const columns = x.length
  return Array.from({ length: rows }, (_, row) => {
    let sum = 0
    for (let k = 0; k < columns; k++) sum += (weights[row * columns + k] as number) * (x[k] as number)
    return sum
  })
}

describe.each(DEVICE_KINDS)('matmul on a %s device', (kind) => {
  let gpu: TestGpu
  beforeAll(async () => {
    gpu = await openTestGpu(kind)
  })
  afterAll(() => gpu.close())

  // A device with subgroups runs both kernels, whichever of them it would choose.
  const variants = kind === 'full' ? [false, true] : [false]
  const cases = FORMATS.flatMap((format) =>
    ([1, 2, 4] as const).flatMap((width) => variants.map((sharesLoads) => ({ format, width, sharesLoads }))),
  )

  const title = 'multiplies $format rows with tiles of $width columns, loads shared: $sharesLoads'
  it.each(cases)(title, async ({ format, width, sharesLoads }) => {
    // Rows end inside a row group and inside a thread's groups; an odd number of q8_0 blocks.
    const [rows, columns, count] = [328, 96, width === 4 ? 6 : width]
    const packed = randomMatrix(format, rows, columns, 7)
    const weights = unpackRows32(format, rows, columns, packed.codes, packed.scales)
    const xs = Array.from({ length: count }, (_, column) => randomNumbers(columns, 100 + column))
    const stride = 352
    const output = gpu.poisoned(Math.ceil(count / width) * width * stride)
    const op = await makeMatmul(gpu.context, {
      matrix: gpu.matrix(packed),
      input: gpu.buffer(tile(xs, width)),
      output,
      tile: width as TileColumns,
      columnsPerToken: 1,
      outRows: stride,
      outFirst: 8,
      sharesLoads,
    })
    const y = await gpu.run([op], { position: 0, count }, output)
    for (const [column, x] of xs.entries()) {
      const actual = Array.from(
        { length: rows },
        (_, row) => y[tiledIndex(column, row + 8, stride, width)] as number,
      )
      expect(relativeError(actual, product(weights, rows, x))).toBeLessThan(2e-6)
      // Rows outside the matrix stay untouched.
      expect(y[tiledIndex(column, 7, stride, width)]).toBeNaN()
      expect(y[tiledIndex(column, rows + 8, stride, width)]).toBeNaN()
    }
  })

  it.each(kind === 'full' ? FORMATS : [])('gives the same %s numbers with shared loads', async (format) => {
    const [rows, columns, count] = [96, 288, 4]
    const matrix = gpu.matrix(randomMatrix(format, rows, columns, 17))
    const xs = Array.from({ length: count }, (_, column) => randomNumbers(columns, 40 + column))
    const input = gpu.buffer(tile(xs, 4))
    const results: Float32Array[] = []
    for (const sharesLoads of [false, true]) {
      const output = gpu.poisoned(rows * count)
      const op = await makeMatmul(gpu.context, {
        matrix,
        input,
        output,
        tile: 4,
        columnsPerToken: 1,
        sharesLoads,
      })
      expect(op.name).toBe(sharesLoads ? 'matmul_subgroups' : 'matmul')
      results.push(await gpu.run([op], { position: 0, count }, output))
    }
    const [plain, shared] = results as [Float32Array, Float32Array]
    // Compilers may fuse a block's scaling differently; within one kernel results repeat bit for bit.
    expect(relativeError(shared, plain)).toBeLessThan(5e-7)
  })

  it('adds to what is there, exactly once', async () => {
    const packed = randomMatrix('q4_1', 128, 64, 9)
    const weights = unpackRows32('q4_1', 128, 64, packed.codes, packed.scales)
    const x = randomNumbers(64, 3)
    const before = randomNumbers(128, 4)
    const output = gpu.buffer(before)
    const matrix = gpu.matrix(packed)
    const options = {
      matrix,
      input: gpu.buffer(x),
      output,
      tile: 1,
      columnsPerToken: 1,
      accumulate: true,
    } as const
    const y = await gpu.run([await makeMatmul(gpu.context, options)], { position: 0, count: 1 }, output)
    const expected = product(weights, 128, x).map((value, row) => value + (before[row] as number))
    expect(relativeError(y, expected)).toBeLessThan(2e-6)
  })

  // With tiles of 4 a thread may own rows of eight groups: 128 lies inside them, 256 between.
  const splits = variants.flatMap((sharesLoads) =>
    ([1, 4] as const).flatMap((width) => [128, 256].map((splitRow) => ({ splitRow, width, sharesLoads }))),
  )
  const stacked =
    'gives the parts of a matrix stacked at $splitRow their inputs, tiles of $width: $sharesLoads'
  it.each(splits)(stacked, async ({ splitRow, width, sharesLoads }) => {
    const rows = splitRow + 40
    const packed = randomMatrix('q4_1', rows, 64, 11)
    const weights = unpackRows32('q4_1', rows, 64, packed.codes, packed.scales)
    const inputs = [5, 60].map((seed) =>
      Array.from({ length: width }, (_, column) => randomNumbers(64, seed + column)),
    ) as [Float32Array[], Float32Array[]]
    const output = gpu.poisoned(rows * width)
    const op = await makeMatmul(gpu.context, {
      matrix: gpu.matrix(packed),
      input: gpu.buffer(new Float32Array([...tile(inputs[0], width), ...tile(inputs[1], width)])),
      output,
      tile: width,
      columnsPerToken: 1,
      splitRow,
      splitElements: 64 * width,
      sharesLoads,
    })
    const y = await gpu.run([op], { position: 0, count: width }, output)
    for (let column = 0; column < width; column++) {
      const [first, second] = inputs.map((part) => product(weights, rows, part[column] as Float32Array))
      const expected = [...(first as number[]).slice(0, splitRow), ...(second as number[]).slice(splitRow)]
      expect(relativeError(tiledColumn(y, column, rows, width), expected)).toBeLessThan(2e-6)
    }
  })
})
