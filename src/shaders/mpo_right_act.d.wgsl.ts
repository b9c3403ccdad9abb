// Written by `npm run shaders` from mpo_right_act.wgsl; do not edit.
import type { KernelSource } from '../engine/gpu/kernel-source.ts'

/**
 * Bindings and shapes:
 * - `routes` (read-only-storage): [layers, tokens, top_k]
 * - `auxiliaries` (read-only-storage): docs/file-format.md, aux
 * - `v` (read-only-storage): tiled [pairs, v_rows]
 * - `h` (storage): [pairs, down_center, down_stride]
 */
declare const source: KernelSource<
  'routes' | 'auxiliaries' | 'v' | 'h',
  'center' | 'right' | 'bond_first' | 'bond_second' | 'words_first' | 'words_second' | 'offset_first' | 'offset_second' | 'first_route' | 'v_rows' | 'v_second' | 'down_center' | 'down_stride',
  'COLUMNS',
  never
>
export default source
