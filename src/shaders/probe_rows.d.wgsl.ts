// Written by `npm run shaders` from probe_rows.wgsl; do not edit.
import type { KernelSource } from '../engine/gpu/kernel-source.ts'

/**
 * Bindings and shapes:
 * - `codes` (read-only-storage): [rows, blocks]
 * - `scales` (read-only-storage): [rows, blocks]
 * - `x` (read-only-storage): [blocks, 8]
 * - `y` (storage): [rows]
 */
declare const source: KernelSource<
  'codes' | 'scales' | 'x' | 'y',
  'rows' | 'blocks',
  never,
  never
>
export default source
