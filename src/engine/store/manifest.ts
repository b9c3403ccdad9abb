// What a stored model consists of: groups of bytes in record parts, tensors inside them. A leaf.
import type { Blueprint } from '../model/blueprint.ts'

/** How a tensor's numbers lie in memory, in files of this engine and on the GPU alike. */
export type PackedFormat = 'q4_1' | 'q8_0' | 'f16' | 'f32'

/** A byte range of a group. Offsets are multiples of 16. */
export interface PlaneRange {
  offsetBytes: number
  bytes: number
}

/**
 * A tensor in a group. Layouts:
 * - `rows32`: matrix in groups of 32 rows; 16-byte chunks at ((g·chunks + c)·32 + lane); scales beside.
 * - `plain`: C order, no padding (vectors, routers).
 * - `aux`: MPO auxiliaries of a layer, f16, rows padded to 8 numbers (see docs/file-format.md).
 */
export interface PackedTensor {
  name: string
  group: string
  layout: 'rows32' | 'plain' | 'aux'
  format: PackedFormat
  /** Logical sizes; a stacked matrix counts the padding rows between its parts. */
  rows: number
  columns: number
  codes: PlaneRange
  scales?: PlaneRange | undefined
}

/** One IndexedDB record: a `Blob` of a group's bytes. */
export interface RecordPart {
  key: string
  bytes: number
  crc32: number
}

/** Bytes of a group are the concatenation of its parts. */
export interface RecordGroup {
  name: string
  bytes: number
  parts: RecordPart[]
}

/** Where a model came from, so that a damaged record can be fetched again. */
export type ModelOrigin = { kind: 'url'; urls: string[] } | { kind: 'files'; names: string[] }

export interface ModelManifest {
  version: 1
  id: string
  name: string
  description: string
  license: string
  origin: ModelOrigin
  /** Sizes and header checksums of the source files: tells whether a source is still the same model. */
  fingerprint: string
  importedAt: number
  downloadBytes: number
  storedBytes: number
  blueprint: Blueprint
  /** Record with the tokenizer's data as JSON (`TokenizerData`). */
  tokenizer: RecordPart
  groups: RecordGroup[]
  tensors: PackedTensor[]
}

/** Numbers a 16-byte chunk of a `rows32` matrix holds, by format. */
export const NUMBERS_PER_CHUNK: Record<PackedFormat, number> = { q4_1: 32, q8_0: 16, f16: 8, f32: 4 }

/** Rows of a `rows32` group. */
export const GROUP_ROWS = 32
/** A stacked part starts at a multiple of this many rows: a thread's four row groups never straddle parts. */
export const STACK_ROWS = 128

/** `value` rounded up to a multiple of `step`. */
export function roundUp(value: number, step: number): number {
  return Math.ceil(value / step) * step
}

/** Bytes of a `rows32` matrix: its codes and its scales (0 when the format has none). */
export function packedBytes(
  format: PackedFormat,
  rows: number,
  columns: number,
): { codes: number; scales: number } {
  const padded = roundUp(rows, GROUP_ROWS)
  const codes = padded * (columns / NUMBERS_PER_CHUNK[format]) * 16
  if (format === 'q4_1') return { codes, scales: padded * (columns / 32) * 4 }
  if (format === 'q8_0') return { codes, scales: padded * Math.ceil(columns / 64) * 4 }
  return { codes, scales: 0 }
}
