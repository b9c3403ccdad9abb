// GGUF numbers to the engine's layouts (`rows32`, `aux`, `plain`), by whole 32-bit words. Pure.
// Hosts are little-endian, as every browser is. Each function tells whether all scales and floats are
// finite: one that is not would poison every later token without a trace.
import { AUX_WORD_NUMBERS, auxRowWords } from '../model/aux-layout.ts'
import { GROUP_ROWS, type PackedFormat } from '../store/manifest.ts'
import { halfToNumber, isHalfSpecial, numberToHalf } from './half.ts'

const LANE_WORDS = 4

/** Rows of one matrix slice, in the file's layout. */
export interface RowSlice {
  format: PackedFormat
  source: Uint8Array
  /** May end inside a group of 32; the rest of the group is left as it is. */
  rows: number
  columns: number
}

/**
 * Packs rows into `rows32` planes whose first group is the slice's own first rows.
 * `codes` and `scales` hold whole groups and are zero where no row falls.
 */
export function packRows(slice: RowSlice, codes: Uint32Array, scales: Uint32Array): boolean {
  if (slice.format === 'q4_1') return packQ4(slice, codes, scales)
  if (slice.format === 'q8_0') return packQ8(slice, codes, scales)
  return packFloats(slice, codes)
}

/** `source` as words; copied when it does not start at a multiple of the word. */
function wordsOf(source: Uint8Array): Uint32Array {
  const aligned = source.byteOffset % 4 === 0 ? source : source.slice()
  return new Uint32Array(aligned.buffer, aligned.byteOffset, aligned.byteLength >> 2)
}

function halvesOf(source: Uint8Array): Uint16Array {
  const aligned = source.byteOffset % 2 === 0 ? source : source.slice()
  return new Uint16Array(aligned.buffer, aligned.byteOffset, aligned.byteLength >> 1)
}

/** A block is a word with scale and minimum, then the 16 nibble bytes that are the chunk. */
function packQ4({ source, rows, columns }: RowSlice, codes: Uint32Array, scales: Uint32Array): boolean {
  const words = wordsOf(source)
  const blocks = columns / 32
  let allFinite = true
  let from = 0
  for (let row = 0; row < rows; row++) {
    let at = Math.floor(row / GROUP_ROWS) * blocks * GROUP_ROWS + (row % GROUP_ROWS)
    for (let block = 0; block < blocks; block++, at += GROUP_ROWS, from += 5) {
      const scale = words[from] as number
      if ((scale & 0x7c00) === 0x7c00 || (scale & 0x7c000000) === 0x7c000000) allFinite = false
      scales[at] = scale
      const to = at * LANE_WORDS
      codes[to] = words[from + 1] as number
      codes[to + 1] = words[from + 2] as number
      codes[to + 2] = words[from + 3] as number
      codes[to + 3] = words[from + 4] as number
    }
  }
  return allFinite
}

/** A block is a half scale and 32 signed bytes: two chunks; two blocks share a word of scales. */
function packQ8({ source, rows, columns }: RowSlice, codes: Uint32Array, scales: Uint32Array): boolean {
  const halves = halvesOf(source)
  const blocks = columns / 32
  const pairs = Math.ceil(blocks / 2)
  let allFinite = true
  let from = 0
  for (let row = 0; row < rows; row++) {
    const group = Math.floor(row / GROUP_ROWS)
    const lane = row % GROUP_ROWS
    const scaleStart = group * pairs * GROUP_ROWS + lane
    let to = (group * blocks * 2 * GROUP_ROWS + lane) * LANE_WORDS
    for (let block = 0; block < blocks; block++) {
      const scale = halves[from++] as number
      if ((scale & 0x7c00) === 0x7c00) allFinite = false
      const scaleAt = scaleStart + (block >> 1) * GROUP_ROWS
      scales[scaleAt] = (block & 1) === 0 ? scale : (scales[scaleAt] as number) | (scale << 16)
      for (let half = 0; half < 2; half++, to += GROUP_ROWS * LANE_WORDS) {
        for (let word = to; word < to + LANE_WORDS; word++, from += 2) {
          codes[word] = (halves[from] as number) | ((halves[from + 1] as number) << 16)
        }
      }
    }
  }
  return allFinite
}

function packFloats({ format, source, rows, columns }: RowSlice, codes: Uint32Array): boolean {
  const words = wordsOf(source)
  const chunks = format === 'f16' ? columns / 8 : columns / 4
  const low = format === 'f16' ? 0x7c00 : 0x7f800000
  const high = format === 'f16' ? 0x7c000000 : 0x7f800000
  let allFinite = true
  let from = 0
  for (let row = 0; row < rows; row++) {
    let to = (Math.floor(row / GROUP_ROWS) * chunks * GROUP_ROWS + (row % GROUP_ROWS)) * LANE_WORDS
    for (let chunk = 0; chunk < chunks; chunk++, to += GROUP_ROWS * LANE_WORDS) {
      for (let word = to; word < to + LANE_WORDS; word++, from++) {
        const value = words[from] as number
        if ((value & low) === low || (value & high) === high) allFinite = false
        codes[word] = value
      }
    }
  }
  return allFinite
}

/** Copies a vector or router as f32. */
export function packPlain(format: 'f16' | 'f32', source: Uint8Array, target: Float32Array): boolean {
  if (format === 'f32') target.set(floatsOf(source))
  else target.set(Float32Array.from(halvesOf(source), halfToNumber))
  return target.every(Number.isFinite)
}

/**
 * Packs an auxiliary tensor of `rows` rows with `inner` numbers as f16 (f32 rounds to nearest even), each
 * row padded to whole 16-byte words. `target` starts at the tensor's own first word.
 */
export function packAux(
  format: 'f16' | 'f32',
  source: Uint8Array,
  rows: number,
  inner: number,
  target: Uint16Array,
): boolean {
  const stride = auxRowWords(inner) * AUX_WORD_NUMBERS
  const halves = format === 'f16' ? halvesOf(source) : Uint16Array.from(floatsOf(source), numberToHalf)
  for (let row = 0; row < rows; row++) {
    target.set(halves.subarray(row * inner, (row + 1) * inner), row * stride)
  }
  return !halves.some(isHalfSpecial)
}

function floatsOf(source: Uint8Array): Float32Array {
  const words = wordsOf(source)
  return new Float32Array(words.buffer, words.byteOffset, words.length)
}
