import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  DEVICE_KINDS,
  firstDifference,
  openTestGpu,
  randomMatrix,
  type TestGpu,
  tiledColumn,
} from '../../../test/gpu-fixture.ts'
import { unpackRows32 } from '../reference/dequantize.ts'
import { roundUp } from '../store/manifest.ts'
import { makeEmbed } from './embed.ts'

const VOCABULARY = 71
// More than one workgroup each, ending inside the last; q4_1 and q8_0 have an odd number of blocks.
const HIDDEN = { q4_1: 288, q8_0: 288, f16: 264, f32: 268 }

describe.each(DEVICE_KINDS)('embed on a %s device', (kind) => {
  let gpu: TestGpu
  beforeAll(async () => {
    gpu = await openTestGpu(kind)
  })
  afterAll(() => gpu.close())

  const formats = ['q4_1', 'q8_0', 'f16', 'f32'] as const
  const cases = formats.flatMap((format) => ([1, 4] as const).map((width) => ({ format, width })))

  it.each(cases)('copies $format rows into tiles of $width exactly', async ({ format, width }) => {
    const hidden = HIDDEN[format]
    const packed = randomMatrix(format, VOCABULARY, hidden, 17)
    const weights = unpackRows32(format, VOCABULARY, hidden, packed.codes, packed.scales)
    // First and last rows of a group, the last row of all, one token twice, one beyond the vocabulary.
    const tokens = [70, 0, 31, 32, 70, 9999]
    const x = gpu.poisoned(roundUp(tokens.length, width) * hidden)
    gpu.writeState({ tokens })
    const op = await makeEmbed(gpu.context, { embedding: gpu.matrix(packed), x, tile: width })
    const y = await gpu.run([op], { position: 0, count: tokens.length }, x)
    for (const [column, token] of tokens.entries()) {
      const row = Math.min(token, VOCABULARY - 1)
      const expected = weights.subarray(row * hidden, (row + 1) * hidden)
      expect(firstDifference(tiledColumn(y, column, hidden, width), expected)).toBe(-1)
    }
    for (let column = tokens.length; column < roundUp(tokens.length, width); column++) {
      expect(tiledColumn(y, column, hidden, width).every(Number.isNaN)).toBe(true)
    }
  })
})
