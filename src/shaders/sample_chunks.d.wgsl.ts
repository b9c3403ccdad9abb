// Written by `npm run shaders` from sample_chunks.wgsl; do not edit.
import type { KernelSource } from '../engine/gpu/kernel-source.ts'

/**
 * Bindings and shapes:
 * - `state` (uniform)
 * - `logits` (read-only-storage): [vocabulary]
 * - `seen` (read-only-storage): [ceil(vocabulary / 32)] bits
 * - `chunks` (storage): [chunks]
 */
declare const source: KernelSource<
  'state' | 'logits' | 'seen' | 'chunks',
  'vocabulary' | 'chunks',
  never,
  never
>
export default source
