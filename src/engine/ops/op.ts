// What every operation of the network shares: how it is made and what a step tells it.
import type { KernelLibrary } from '../gpu/kernel.ts'
import type { GpuMemory } from '../gpu/memory.ts'
import type { PackedFormat } from '../store/manifest.ts'

/** Where operations are made; `state` is the uniform buffer of lib/state.wgsl. */
export interface OpContext {
  library: KernelLibrary
  memory: GpuMemory
  state: GPUBuffer
}

/** The part of a step that decides grid sizes. */
export interface Step {
  /** Context position of the first token. */
  position: number
  /** Tokens of this step. */
  count: number
}

/** One dispatch of the network; encoding it creates nothing. */
export interface Op {
  readonly name: string
  encode(pass: GPUComputePassEncoder, step: Step): void
}

/** Columns of a tile: how many vectors one decoded weight meets. */
export type TileColumns = 1 | 2 | 4

/** A matrix on the GPU in layout `rows32`. */
export interface GpuMatrix {
  format: PackedFormat
  rows: number
  columns: number
  codes: GPUBuffer
  scales: GPUBuffer
}

/** `FORMAT` of lib/decode.wgsl. */
export const FORMAT_CODE: Record<PackedFormat, number> = { q4_1: 0, q8_0: 1, f16: 2, f32: 3 }

/** The WGSL type of a column tile. */
export function columnsType(columns: TileColumns): 'f32' | 'vec2f' | 'vec4f' {
  return columns === 1 ? 'f32' : columns === 2 ? 'vec2f' : 'vec4f'
}

/** The smallest tile for `count` columns, 4 at most. */
export function tileFor(count: number): TileColumns {
  return count <= 1 ? 1 : count === 2 ? 2 : 4
}
