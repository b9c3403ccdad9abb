// Written by `npm run shaders` from embed.wgsl; do not edit.
import type { KernelSource } from '../engine/gpu/kernel-source.ts'

/**
 * Bindings and shapes:
 * - `state` (uniform)
 * - `codes` (read-only-storage): [groups, chunks, 32]
 * - `scales` (read-only-storage): [groups, blocks, 32]
 * - `x` (storage): tiled [tokens, hidden]
 */
declare const source: KernelSource<
  'state' | 'codes' | 'scales' | 'x',
  'hidden' | 'chunks' | 'vocabulary',
  'COLUMNS',
  'FORMAT'
>
export default source
