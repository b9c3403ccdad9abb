// RMSNorm of the step's tokens, or of the one whose logits are wanted; see rms_norm.wgsl.
import source from '../../shaders/rms_norm.wgsl'
import type { Op, OpContext, TileColumns } from './op.ts'

export interface RmsNormOptions {
  hidden: number
  eps: number
  x: GPUBuffer
  weight: GPUBuffer
  y: GPUBuffer
  tile: TileColumns
  /** Only the token of `state.logits_token`, into a single column. */
  lastOnly?: boolean
}

/** y = x · w / √(mean x² + eps), both tiled [tokens, hidden]. */
export async function makeRmsNorm(context: OpContext, options: RmsNormOptions): Promise<Op> {
  const { hidden, eps, x, weight, y, tile, lastOnly = false } = options
  const kernel = await context.library.get(source, {
    overrides: { COLUMNS: tile, COLUMNS_OUT: lastOnly ? 1 : tile, LAST: lastOnly },
  })
  const bound = kernel.bind(context.memory, { state: context.state, x, weight, y }, { hidden, eps })
  return { name: bound.name, encode: (pass, { count }) => bound.encode(pass, lastOnly ? 1 : count) }
}
