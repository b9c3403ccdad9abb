// Written by `npm run shaders` from attend_split.wgsl; do not edit.
import type { KernelSource } from '../engine/gpu/kernel-source.ts'

/**
 * Bindings and shapes:
 * - `state` (uniform)
 * - `qkv` (read-only-storage): tiled [tokens, stride]
 * - `keys` (read-only-storage): [kv_heads, head_size / 4, capacity]
 * - `values` (read-only-storage): [kv_heads, capacity, head_size / 4]
 * - `partial` (storage): [tokens, heads, splits, head_size + 2]
 */
declare const source: KernelSource<
  'state' | 'qkv' | 'keys' | 'values' | 'partial',
  'heads' | 'group' | 'head_size' | 'capacity' | 'stride' | 'split_size' | 'max_splits' | 'scale',
  'COLUMNS',
  never
>
export default source
