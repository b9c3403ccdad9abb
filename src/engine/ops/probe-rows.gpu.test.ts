import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  DEVICE_KINDS,
  halfBits,
  openTestGpu,
  randomNumbers,
  relativeError,
  seeded,
  type TestGpu,
} from '../../../test/gpu-fixture.ts'
import source from '../../shaders/probe_rows.wgsl'
import { dequantize } from '../reference/dequantize.ts'
import { multiply } from '../reference/numbers.ts'

const ROWS = 70
const BLOCKS = 3

describe.each(DEVICE_KINDS)('probe_rows on a %s device', (kind) => {
  let gpu: TestGpu
  beforeAll(async () => {
    gpu = await openTestGpu(kind)
  })
  afterAll(() => gpu.close())

  it('multiplies, so that the rate it is taken for is one of real work', async () => {
    const next = seeded(41)
    const count = ROWS * BLOCKS
    const codes = Uint8Array.from({ length: count * 16 }, () => Math.floor((next() + 1) * 128))
    const scales = Uint32Array.from({ length: count }, () => halfBits(next() / 8) + halfBits(next()) * 65_536)
    const file = new Uint8Array(count * 20)
    for (let block = 0; block < count; block++) {
      file.set(new Uint8Array(scales.buffer, block * 4, 4), block * 20)
      file.set(codes.subarray(block * 16, block * 16 + 16), block * 20 + 4)
    }
    const x = randomNumbers(BLOCKS * 32, 42)
    const y = gpu.poisoned(72)
    const kernel = await gpu.context.library.get(source)
    const bound = kernel.bind(
      gpu.memory,
      { codes: gpu.buffer(codes), scales: gpu.buffer(scales), x: gpu.buffer(x), y },
      { rows: ROWS, blocks: BLOCKS },
    )
    const op = {
      name: bound.name,
      encode: (pass: GPUComputePassEncoder) => bound.encode(pass, Math.ceil(ROWS / 64)),
    }
    const actual = await gpu.run([op], { position: 0, count: 1 }, y)
    const expected = multiply(dequantize('q4_1', file, count * 32), ROWS, x)
    expect(relativeError(actual, expected)).toBeLessThan(2e-6)
    expect(actual.subarray(ROWS).every(Number.isNaN)).toBe(true)
  })
})
