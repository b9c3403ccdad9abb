// Written by `npm run shaders` from matmul_subgroups.wgsl; do not edit.
import type { KernelSource } from '../engine/gpu/kernel-source.ts'

/**
 * Bindings and shapes:
 * - `codes` (read-only-storage): [groups, chunks, 32]
 * - `scales` (read-only-storage): [groups, blocks, 32]
 * - `input` (read-only-storage): [tiles, quads]
 * - `output` (storage): [tiles, out_rows]
 */
declare const source: KernelSource<
  'codes' | 'scales' | 'input' | 'output',
  'groups' | 'rows' | 'chunks' | 'quads' | 'out_rows' | 'out_first' | 'split_group' | 'split_quads',
  'ACCUMULATE',
  'Columns' | 'FORMAT' | 'GROUPS'
>
export default source
