// RoPE on q and k, k and v into the cache; see rope_append.wgsl.
import source from '../../shaders/rope_append.wgsl'
import type { Blueprint } from '../model/blueprint.ts'
import type { Op, OpContext, TileColumns } from './op.ts'

/** Where q, k and v lie in a token's column. */
export interface QkvLayout {
  stride: number
  kOffset: number
  vOffset: number
}

export interface RopeAppendOptions {
  blueprint: Blueprint
  layout: QkvLayout
  rope: GPUBuffer
  qkv: GPUBuffer
  keys: GPUBuffer
  values: GPUBuffer
  /** Positions the cache holds. */
  capacity: number
  tile: TileColumns
}

/** Rotates q in place, appends k (rotated) and v at the step's positions. */
export async function makeRopeAppend(context: OpContext, options: RopeAppendOptions): Promise<Op> {
  const { blueprint, layout, rope, qkv, keys, values, capacity, tile } = options
  const { heads, kvHeads, headSize } = blueprint
  const kernel = await context.library.get(source, { overrides: { COLUMNS: tile } })
  const bound = kernel.bind(
    context.memory,
    { state: context.state, rope, qkv, keys, values },
    {
      heads,
      kv_heads: kvHeads,
      head_size: headSize,
      rope_size: blueprint.ropeDimensions,
      capacity,
      stride: layout.stride,
      k_offset: layout.kOffset,
      v_offset: layout.vOffset,
    },
  )
  const groups = Math.ceil(((heads + 2 * kvHeads) * headSize) / 2 / 64)
  return { name: bound.name, encode: (pass, { count }) => bound.encode(pass, groups, count) }
}
