// Written by `npm run shaders` from rope_append.wgsl; do not edit.
import type { KernelSource } from '../engine/gpu/kernel-source.ts'

/**
 * Bindings and shapes:
 * - `state` (uniform)
 * - `rope` (read-only-storage): [capacity, rope_size / 2] (cos, sin)
 * - `qkv` (storage): tiled [tokens, stride]
 * - `keys` (storage): [kv_heads, head_size / 4, capacity, 4]
 * - `values` (storage): [kv_heads, capacity, head_size]
 */
declare const source: KernelSource<
  'state' | 'rope' | 'qkv' | 'keys' | 'values',
  'heads' | 'kv_heads' | 'head_size' | 'rope_size' | 'capacity' | 'stride' | 'k_offset' | 'v_offset',
  'COLUMNS',
  never
>
export default source
