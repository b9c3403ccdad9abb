import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  DEVICE_KINDS,
  openTestGpu,
  randomNumbers,
  relativeError,
  type TestGpu,
  tile,
  tiledColumn,
} from '../../../test/gpu-fixture.ts'
import { rmsNorm } from '../reference/rms-norm.ts'
import { makeRmsNorm } from './rms-norm.ts'

describe.each(DEVICE_KINDS)('rms_norm on a %s device', (kind) => {
  let gpu: TestGpu
  beforeAll(async () => {
    gpu = await openTestGpu(kind)
  })
  afterAll(() => gpu.close())

  // Fewer numbers than lanes, exactly as many, one more, and several rounds with a rest.
  const cases = [40, 64, 65, 580].flatMap((hidden) => ([1, 4] as const).map((width) => ({ hidden, width })))

  it.each(cases)('normalizes $hidden numbers in tiles of $width', async ({ hidden, width }) => {
    const weight = randomNumbers(hidden, 3)
    const eps = 0.05
    // Sizes far apart: a small token shows eps, a large one shows that columns do not mix.
    const xs = [1, 0.01, 300, 1, 2].map((size, token) => {
      return randomNumbers(hidden, 20 + token).map((value) => value * size)
    })
    const y = gpu.poisoned(8 * hidden)
    const x = gpu.buffer(tile(xs, width, Number.NaN))
    const op = await makeRmsNorm(gpu.context, { hidden, eps, x, weight: gpu.buffer(weight), y, tile: width })
    const actual = await gpu.run([op], { position: 5, count: xs.length }, y)
    for (const [token, values] of xs.entries()) {
      const column = tiledColumn(actual, token, hidden, width)
      expect(relativeError(column, rmsNorm(values, weight, eps))).toBeLessThan(2e-6)
    }
    for (const column of [5, 6, 7])
      expect(tiledColumn(actual, column, hidden, width).every(Number.isNaN)).toBe(true)
  })

  it.each([1, 4] as const)('takes one token out of tiles of %i for the output head', async (width) => {
    const hidden = 90
    const weight = randomNumbers(hidden, 3)
    const xs = Array.from({ length: 7 }, (_, token) => randomNumbers(hidden, 40 + token))
    const x = gpu.buffer(tile(xs, width))
    for (const logitsToken of [0, 5, 6]) {
      const y = gpu.poisoned(hidden + 16)
      const options = { hidden, eps: 1e-5, x, weight: gpu.buffer(weight), y, tile: width, lastOnly: true }
      gpu.writeState({ tokens: [0, 0, 0, 0, 0, 0, 0], logitsToken })
      const op = await makeRmsNorm(gpu.context, options)
      const actual = await gpu.run([op], { position: 0, count: 7 }, y)
      const expected = rmsNorm(xs[logitsToken] as Float32Array, weight, 1e-5)
      expect(relativeError(actual.subarray(0, hidden), expected)).toBeLessThan(2e-6)
      expect(actual.subarray(hidden).every(Number.isNaN)).toBe(true)
    }
  })

  it('leaves zeros zero', async () => {
    const y = gpu.poisoned(8)
    const options = {
      hidden: 8,
      eps: 1e-5,
      x: gpu.buffer(new Float32Array(8)),
      weight: gpu.buffer(randomNumbers(8, 1)),
    }
    const op = await makeRmsNorm(gpu.context, { ...options, y, tile: 1 })
    const actual = await gpu.run([op], { position: 0, count: 1 }, y)
    expect(actual.every((value) => value === 0)).toBe(true)
  })
})
