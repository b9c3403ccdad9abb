// Written by `npm run shaders` from route_topk.wgsl; do not edit.
import type { KernelSource } from '../engine/gpu/kernel-source.ts'

/**
 * Bindings and shapes:
 * - `state` (uniform)
 * - `x` (read-only-storage): tiled [tokens, hidden]
 * - `norm` (read-only-storage): [hidden]
 * - `router` (read-only-storage): [experts, hidden]
 * - `forced` (read-only-storage): [layers, tokens, top_k]
 * - `routes` (storage): [layers, tokens, top_k]
 * - `normed` (storage): [tokens, column_center, left_stride]
 */
declare const source: KernelSource<
  'state' | 'x' | 'norm' | 'router' | 'forced' | 'routes' | 'normed',
  'hidden' | 'experts' | 'top_k' | 'parts' | 'eps' | 'scale' | 'renormalize' | 'first_route' | 'column_center' | 'left_stride',
  'COLUMNS',
  never
>
export default source
