import { describe, expect, it } from 'vitest'
import { type BlockFormat, randomBlocks, seededRandom } from '../../../test/fixtures/random-blocks.ts'
import { halfAt, unpackAux, unpackRows } from '../../../test/fixtures/unpack.ts'
import { type PackedFormat, type PackedTensor, packedBytes } from '../store/manifest.ts'
import { packAux, packPlain, packRows } from './pack.ts'

const FORMATS: [BlockFormat, PackedFormat][] = [
  ['Q4_1', 'q4_1'],
  ['Q8_0', 'q8_0'],
  ['F16', 'f16'],
  ['F32', 'f32'],
]

function tensorOf(format: PackedFormat, rows: number, columns: number): PackedTensor {
  const { codes, scales } = packedBytes(format, rows, columns)
  return {
    name: 'matrix',
    group: 'group',
    layout: 'rows32',
    format,
    rows,
    columns,
    codes: { offsetBytes: 0, bytes: codes },
    scales: { offsetBytes: codes, bytes: scales },
  }
}

function pack(format: PackedFormat, data: Uint8Array, rows: number, columns: number) {
  const tensor = tensorOf(format, rows, columns)
  const group = new ArrayBuffer(tensor.codes.bytes + (tensor.scales?.bytes ?? 0))
  const codes = new Uint32Array(group, 0, tensor.codes.bytes / 4)
  const scales = new Uint32Array(group, tensor.codes.bytes)
  const allFinite = packRows({ format, source: data, rows, columns }, codes, scales)
  return { tensor, group, allFinite }
}

describe.each(FORMATS)('packRows of %s', (type, format) => {
  it.each([
    [1, 32],
    [32, 64],
    [45, 96],
    [70, 160],
  ])('keeps every number of %i rows of %i, with an odd or even count of blocks', (rows, columns) => {
    const { data, values } = randomBlocks(type, rows * columns, 1, seededRandom(rows))
    const { tensor, group, allFinite } = pack(format, data, rows, columns)
    expect(allFinite).toBe(true)
    expect(unpackRows(group, tensor, 0, rows)).toEqual(values)
  })

  it('leaves the rows after the last one zero', () => {
    const { data } = randomBlocks(type, 33 * 64, 1, seededRandom(3))
    const { tensor, group } = pack(format, data, 33, 64)
    expect(unpackRows(group, tensor, 33, 31).every((value) => value === 0)).toBe(true)
  })

  it('reads a source at any byte offset', () => {
    const { data, values } = randomBlocks(type, 8 * 32, 1, seededRandom(4))
    for (const offset of [1, 2, 3]) {
      const shifted = new Uint8Array(data.length + offset)
      shifted.set(data, offset)
      const { tensor, group } = pack(format, shifted.subarray(offset), 8, 32)
      expect(unpackRows(group, tensor, 0, 8)).toEqual(values)
    }
  })
})

it.each([
  ['Q4_1', 'q4_1', 20 * 3, 0x7c00],
  ['Q4_1', 'q4_1', 20 * 3 + 2, 0xfe00],
  ['Q8_0', 'q8_0', 34 * 5, 0x7c01],
  ['F16', 'f16', 2 * 77, 0xfc00],
  ['F32', 'f32', 4 * 9 + 2, 0x7f80],
] as const)('tells when a scale or number of %s is not finite', (type, format, byte, pattern) => {
  const { data } = randomBlocks(type, 4 * 64, 1, seededRandom(5))
  new DataView(data.buffer).setUint16(byte, pattern, true)
  expect(pack(format, data, 4, 64).allFinite).toBe(false)
})

describe('packAux', () => {
  it.each([
    ['F16', 'f16'],
    ['F32', 'f32'],
  ] as const)('pads each row of %s to whole words with zeros', (type, format) => {
    const [rows, inner] = [12, 20]
    const { data, values } = randomBlocks(type, rows * inner, 1, seededRandom(6))
    const target = new Uint16Array(rows * 24)
    expect(packAux(format, data, rows, inner, target)).toBe(true)
    const plane = { codes: { offsetBytes: 0, bytes: target.byteLength } } as PackedTensor
    const read = unpackAux(target.buffer, plane, 0, rows, inner)
    for (const [at, value] of values.entries())
      expect(Math.abs((read[at] ?? 0) - value)).toBeLessThan(2 ** -11)
    if (type === 'F16') expect(read).toEqual(values)
    for (let row = 0; row < rows; row++)
      expect([...target.subarray(row * 24 + 20, row * 24 + 24)]).toEqual([0, 0, 0, 0])
  })

  it('tells when an f32 number is too large for f16', () => {
    const data = new Uint8Array(Float32Array.from([1, 70_000]).buffer)
    expect(packAux('f32', data, 1, 2, new Uint16Array(8))).toBe(false)
  })
})

it('packs vectors of f16 and f32 as f32', () => {
  const half = randomBlocks('F16', 50, 2, seededRandom(7))
  const target = new Float32Array(50)
  expect(packPlain('f16', half.data, target)).toBe(true)
  expect(target).toEqual(half.values)
  expect(halfAt(new DataView(half.data.buffer), 0)).toBe(target[0])
  const single = randomBlocks('F32', 50, 2, seededRandom(8))
  expect(packPlain('f32', single.data, target)).toBe(true)
  expect(target).toEqual(single.values)
  expect(packPlain('f32', new Uint8Array(Float32Array.from([Number.NaN]).buffer), target)).toBe(false)
})
