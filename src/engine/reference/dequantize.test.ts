import { describe, expect, test } from 'vitest'
import type { PackedTensor } from '../store/manifest.ts'
import { dequantize, halfToNumber, unpackAux, unpackRows32, unpackTensor } from './dequantize.ts'

const ONE = 0x3c00
const HALF = 0x3800
const MINUS_TWO = 0xc000

function bytes(...parts: (number[] | Uint8Array)[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]))
}

function half(bits: number): number[] {
  return [bits & 255, bits >> 8]
}

describe('halfToNumber', () => {
  test.each([
    [0x0000, 0],
    [0x8000, -0],
    [0x0001, 2 ** -24],
    [0x03ff, 1023 * 2 ** -24],
    [0x0400, 2 ** -14],
    [0x3555, 1365 / 4096],
    [ONE, 1],
    [MINUS_TWO, -2],
    [0x7bff, 65504],
    [0x7c00, Infinity],
    [0xfc00, -Infinity],
    [0x7e00, NaN],
  ])('reads %i as %d', (bits, value) => {
    expect(halfToNumber(bits)).toBe(value)
  })
})

describe('dequantize', () => {
  test('reads q4_1: low nibbles first, times the scale plus the minimum', () => {
    const codes = Uint8Array.from({ length: 16 }, (_, k) => k | ((15 - k) << 4))
    const numbers = dequantize('q4_1', bytes(half(HALF), half(MINUS_TWO), codes), 32)
    expect([...numbers.slice(0, 16)]).toEqual(Array.from({ length: 16 }, (_, k) => k / 2 - 2))
    expect([...numbers.slice(16)]).toEqual(Array.from({ length: 16 }, (_, k) => (15 - k) / 2 - 2))
  })

  test('reads q8_0: signed bytes times the scale, block by block', () => {
    const codes = Uint8Array.from({ length: 32 }, (_, k) => (k - 16) & 255)
    const numbers = dequantize('q8_0', bytes(half(ONE), codes, half(HALF), codes), 64)
    expect([...numbers]).toEqual(Array.from({ length: 64 }, (_, k) => ((k % 32) - 16) * (k < 32 ? 1 : 0.5)))
  })

  test('reads f16 and f32', () => {
    expect([...dequantize('f16', bytes(half(ONE), half(MINUS_TWO)), 2)]).toEqual([1, -2])
    const source = new Float32Array([0.1, -3e30])
    expect(dequantize('f32', new Uint8Array(source.buffer), 2)).toEqual(source)
  })

  test('refuses data that is too short', () => {
    expect(() => dequantize('q4_1', new Uint8Array(39), 64)).toThrow(
      '64 numbers in q4_1 need 40 bytes, not 39',
    )
  })
})

describe('unpackRows32', () => {
  test('finds q4_1 numbers of row 33 in the second group, lane 1', () => {
    const [rows, columns] = [34, 96]
    const codes = new Uint8Array(64 * 3 * 16)
    const scales = new Uint8Array(64 * 3 * 4)
    // Row 33 = group 1, lane 1; number 20 of block 2 is a high nibble of byte 4.
    codes[((1 * 3 + 2) * 32 + 1) * 16 + 4] = 0x70
    scales.set([...half(HALF), ...half(ONE)], ((1 * 3 + 2) * 32 + 1) * 4)
    const matrix = unpackRows32('q4_1', rows, columns, codes, scales)
    expect(matrix.length).toBe(rows * columns)
    expect(matrix[33 * columns + 2 * 32 + 20]).toBe(7 / 2 + 1)
    expect(matrix[33 * columns + 2 * 32 + 4]).toBe(1)
    expect(matrix[33 * columns + 20]).toBe(0)
  })

  test('finds both scales of a q8_0 word, with an odd number of blocks', () => {
    const [rows, columns] = [32, 96]
    const codes = new Uint8Array(32 * 6 * 16).fill(2)
    const scales = new Uint8Array(32 * 2 * 4)
    const lane = 5
    scales.set([...half(ONE), ...half(HALF)], lane * 4)
    scales.set(half(MINUS_TWO), (32 + lane) * 4)
    codes[((0 * 6 + 3) * 32 + lane) * 16 + 15] = 0xff
    const row = unpackRows32('q8_0', rows, columns, codes, scales).slice(lane * columns, (lane + 1) * columns)
    expect([row[0], row[32], row[63], row[64], row[95]]).toEqual([2, 1, -0.5, -4, -4])
  })

  test('reads chunks of 8 f16 and 4 f32 numbers', () => {
    const halves = new Uint8Array(32 * 2 * 16)
    halves.set(half(MINUS_TWO), (1 * 32 + 31) * 16 + 3 * 2)
    expect(unpackRows32('f16', 32, 16, halves)[31 * 16 + 11]).toBe(-2)
    const floats = new Float32Array(32 * 2 * 4)
    floats[(1 * 32 + 7) * 4 + 2] = 0.25
    expect(unpackRows32('f32', 8, 8, new Uint8Array(floats.buffer))[7 * 8 + 6]).toBe(0.25)
  })
})

describe('unpackTensor', () => {
  test('skips the padding of auxiliary rows', () => {
    const aux = bytes(
      half(ONE),
      half(HALF),
      half(MINUS_TWO),
      new Uint8Array(10),
      half(HALF),
      half(ONE),
      half(ONE),
    )
    expect([...unpackAux(2, 3, aux)]).toEqual([1, 0.5, -2, 0.5, 1, 1])
  })

  test('reads each layout from its range of the group', () => {
    const group = new Uint8Array(64 * 16 + 32 * 16)
    group.set(half(ONE), 16)
    group.set(half(HALF), 32 + 30 * 16 + 2)
    const base = { name: 't', group: 'g', format: 'f16' as const }
    const plain: PackedTensor = {
      ...base,
      layout: 'plain',
      rows: 1,
      columns: 2,
      codes: { offsetBytes: 16, bytes: 4 },
    }
    expect([...unpackTensor(plain, group)]).toEqual([1, 0])
    const rows: PackedTensor = {
      ...base,
      layout: 'rows32',
      rows: 31,
      columns: 8,
      codes: { offsetBytes: 32, bytes: 512 },
    }
    expect(unpackTensor(rows, group)[30 * 8 + 1]).toBe(0.5)
    const aux: PackedTensor = {
      ...base,
      layout: 'aux',
      rows: 1,
      columns: 3,
      codes: { offsetBytes: 16, bytes: 16 },
    }
    expect([...unpackTensor(aux, group)]).toEqual([1, 0, 0])
  })
})
