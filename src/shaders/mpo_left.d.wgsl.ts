// Written by `npm run shaders` from mpo_left.wgsl; do not edit.
import type { KernelSource } from '../engine/gpu/kernel-source.ts'

/**
 * Bindings and shapes:
 * - `routes` (read-only-storage): [layers, tokens, top_k]
 * - `auxiliaries` (read-only-storage): docs/file-format.md, aux
 * - `x` (read-only-storage): [inputs, center, left_quads]
 * - `u` (storage): [matrices] tiled [pairs, bond · center]
 */
declare const source: KernelSource<
  'routes' | 'auxiliaries' | 'x' | 'u',
  'bond' | 'center' | 'left_quads' | 'row_words' | 'offset_first' | 'offset_second' | 'first_route' | 'pairs_per_input' | 'matrix_stride',
  'COLUMNS',
  never
>
export default source
