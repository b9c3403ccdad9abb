// Written by `npm run shaders` from rms_norm.wgsl; do not edit.
import type { KernelSource } from '../engine/gpu/kernel-source.ts'

/**
 * Bindings and shapes:
 * - `state` (uniform)
 * - `x` (read-only-storage): tiled [tokens, hidden]
 * - `weight` (read-only-storage): [hidden]
 * - `y` (storage): tiled [tokens, hidden]
 */
declare const source: KernelSource<
  'state' | 'x' | 'weight' | 'y',
  'hidden' | 'eps',
  'COLUMNS' | 'COLUMNS_OUT' | 'LAST',
  never
>
export default source
