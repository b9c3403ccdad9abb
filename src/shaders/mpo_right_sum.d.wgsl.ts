// Written by `npm run shaders` from mpo_right_sum.wgsl; do not edit.
import type { KernelSource } from '../engine/gpu/kernel-source.ts'

/**
 * Bindings and shapes:
 * - `routes` (read-only-storage): [layers, tokens, top_k]
 * - `auxiliaries` (read-only-storage): docs/file-format.md, aux
 * - `v` (read-only-storage): tiled [pairs, v_rows]
 * - `x` (storage): tiled [tokens, center · right]
 */
declare const source: KernelSource<
  'routes' | 'auxiliaries' | 'v' | 'x',
  'bond' | 'center' | 'right' | 'row_words' | 'offset' | 'first_route' | 'top_k' | 'v_rows',
  'COLUMNS' | 'TOKEN_COLUMNS',
  never
>
export default source
