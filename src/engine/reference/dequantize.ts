// Stored numbers as plain numbers: GGUF blocks as a file has them, and this engine's packed layouts.
// One number at a time, by its definition; nothing here is fast.
import { internalError } from '../errors.ts'
import { GROUP_ROWS, NUMBERS_PER_CHUNK, type PackedFormat, type PackedTensor } from '../store/manifest.ts'

const BLOCK = 32
const BLOCK_BYTES: Record<PackedFormat, number> = { q4_1: 20, q8_0: 34, f16: 2 * BLOCK, f32: 4 * BLOCK }

/** The number that the 16 bits of an IEEE half stand for. */
export function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 0x1f
  const fraction = bits & 0x3ff
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN
  return sign * (1024 + fraction) * 2 ** (exponent - 25)
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function halfAt(bytes: DataView, offset: number): number {
  return halfToNumber(bytes.getUint16(offset, true))
}

/** Low nibbles are numbers 0–15 of a block, high nibbles 16–31. */
function nibble(bytes: DataView, offset: number, index: number): number {
  const byte = bytes.getUint8(offset + (index % 16))
  return index < 16 ? byte & 15 : byte >> 4
}

/**
 * `count` numbers of GGUF data: q4_1 = q·d + m (f16 d, f16 m, 16 bytes), q8_0 = q·d (f16 d, 32 bytes).
 * Throws `internal` when `bytes` is too short.
 */
export function dequantize(format: PackedFormat, bytes: Uint8Array, count: number): Float32Array {
  const needed = Math.ceil((count / BLOCK) * BLOCK_BYTES[format])
  if (bytes.length < needed) {
    throw internalError(
      'reference',
      `${count} numbers in ${format} need ${needed} bytes, not ${bytes.length}`,
    )
  }
  const data = view(bytes)
  const numbers = new Float32Array(count)
  for (let first = 0; first < count; first += BLOCK) {
    const block = (first / BLOCK) * BLOCK_BYTES[format]
    const d = format === 'f32' ? 1 : halfAt(data, block)
    const m = format === 'q4_1' ? halfAt(data, block + 2) : 0
    for (let within = 0; within < Math.min(BLOCK, count - first); within++) {
      if (format === 'q4_1') numbers[first + within] = nibble(data, block + 4, within) * d + m
      else if (format === 'q8_0') numbers[first + within] = data.getInt8(block + 2 + within) * d
      else if (format === 'f16') numbers[first + within] = halfAt(data, block + 2 * within)
      else numbers[first + within] = data.getFloat32(block + 4 * within, true)
    }
  }
  return numbers
}

/**
 * A `rows32` matrix in C order [rows, columns], padding rows left out.
 * 16-byte chunk c of row g·32 + lane lies at ((g·chunks + c)·32 + lane)·16; scales are 4-byte words:
 * q4_1 (f16 d, f16 m) a block at ((g·blocks + b)·32 + lane)·4; q8_0 two f16 d of blocks b, b + 1 at
 * ((g·⌈blocks/2⌉ + b/2)·32 + lane)·4.
 */
export function unpackRows32(
  format: PackedFormat,
  rows: number,
  columns: number,
  codes: Uint8Array,
  scales: Uint8Array = new Uint8Array(0),
): Float32Array {
  const code = view(codes)
  const scale = view(scales)
  const perChunk = NUMBERS_PER_CHUNK[format]
  const chunks = columns / perChunk
  const blocks = columns / BLOCK
  const matrix = new Float32Array(rows * columns)
  for (let row = 0; row < rows; row++) {
    const group = Math.floor(row / GROUP_ROWS)
    const lane = row % GROUP_ROWS
    for (let column = 0; column < columns; column++) {
      const chunk = Math.floor(column / perChunk)
      const block = Math.floor(column / BLOCK)
      const within = column % perChunk
      const chunkAt = ((group * chunks + chunk) * GROUP_ROWS + lane) * 16
      let value: number
      if (format === 'q4_1') {
        const scaleAt = ((group * blocks + block) * GROUP_ROWS + lane) * 4
        value = nibble(code, chunkAt, within) * halfAt(scale, scaleAt) + halfAt(scale, scaleAt + 2)
      } else if (format === 'q8_0') {
        const pair = group * Math.ceil(blocks / 2) + Math.floor(block / 2)
        const scaleAt = (pair * GROUP_ROWS + lane) * 4 + (block % 2) * 2
        value = code.getInt8(chunkAt + within) * halfAt(scale, scaleAt)
      } else if (format === 'f16') {
        value = halfAt(code, chunkAt + within * 2)
      } else {
        value = code.getFloat32(chunkAt + within * 4, true)
      }
      matrix[row * columns + column] = value
    }
  }
  return matrix
}

/** MPO auxiliaries in C order [rows, columns]: f16, each row padded to a multiple of 8 numbers. */
export function unpackAux(rows: number, columns: number, codes: Uint8Array): Float32Array {
  const data = view(codes)
  const stride = Math.ceil(columns / 8) * 8
  const matrix = new Float32Array(rows * columns)
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      matrix[row * columns + column] = halfAt(data, (row * stride + column) * 2)
    }
  }
  return matrix
}

/** Tensor `tensor` of a stored group's bytes, in C order [rows, columns]. */
export function unpackTensor(tensor: PackedTensor, group: Uint8Array): Float32Array {
  const { rows, columns, format, scales } = tensor
  const codes = group.subarray(tensor.codes.offsetBytes, tensor.codes.offsetBytes + tensor.codes.bytes)
  if (tensor.layout === 'plain') return dequantize(format, codes, rows * columns)
  if (tensor.layout === 'aux') return unpackAux(rows, columns, codes)
  const scaleBytes = scales && group.subarray(scales.offsetBytes, scales.offsetBytes + scales.bytes)
  return unpackRows32(format, rows, columns, codes, scaleBytes)
}
