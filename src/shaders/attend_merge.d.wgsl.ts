// Written by `npm run shaders` from attend_merge.wgsl; do not edit.
import type { KernelSource } from '../engine/gpu/kernel-source.ts'

/**
 * Bindings and shapes:
 * - `state` (uniform)
 * - `partial` (read-only-storage): [tokens, heads, splits, head_size + 2]
 * - `output` (storage): tiled [tokens, heads · head_size]
 */
declare const source: KernelSource<
  'state' | 'partial' | 'output',
  'heads' | 'head_size' | 'split_size' | 'max_splits',
  'COLUMNS',
  never
>
export default source
