// Causal attention over the cache in two dispatches; see attend_split.wgsl and attend_merge.wgsl.
import mergeSource from '../../shaders/attend_merge.wgsl'
import splitSource from '../../shaders/attend_split.wgsl'
import type { Blueprint } from '../model/blueprint.ts'
import type { Op, OpContext, TileColumns } from './op.ts'

/** Positions one workgroup walks: short enough to fill a GPU at long contexts. */
export const SPLIT_TOKENS = 256

export interface AttendOptions {
  blueprint: Blueprint
  qkv: GPUBuffer
  qkvStride: number
  keys: GPUBuffer
  values: GPUBuffer
  /** [tokens, heads, splits, headSize + 2], see `partialBytes`. */
  partial: GPUBuffer
  /** Tiled [tokens, heads · headSize]. */
  output: GPUBuffer
  capacity: number
  tile: TileColumns
}

/** Splits of the longest context. */
export function splitCount(capacity: number): number {
  return Math.ceil(capacity / SPLIT_TOKENS)
}

/** Size of the partial results of `tokens` tokens. */
export function partialBytes(blueprint: Blueprint, tokens: number, capacity: number): number {
  return tokens * blueprint.heads * splitCount(capacity) * (blueprint.headSize + 2) * 4
}

/** softmax(q·k / √d) · v over positions up to each token's own, grouped-query. */
export async function makeAttend(context: OpContext, options: AttendOptions): Promise<[Op, Op]> {
  const { blueprint, capacity, partial, tile } = options
  const { heads, kvHeads, headSize } = blueprint
  const overrides = { COLUMNS: tile }
  const [splitKernel, mergeKernel] = await Promise.all([
    context.library.get(splitSource, { overrides }),
    context.library.get(mergeSource, { overrides }),
  ])
  const split = splitKernel.bind(
    context.memory,
    { state: context.state, qkv: options.qkv, keys: options.keys, values: options.values, partial },
    {
      heads,
      group: heads / kvHeads,
      head_size: headSize,
      capacity,
      stride: options.qkvStride,
      split_size: SPLIT_TOKENS,
      max_splits: splitCount(capacity),
      scale: 1 / Math.sqrt(headSize),
    },
  )
  const merge = mergeKernel.bind(
    context.memory,
    { state: context.state, partial, output: options.output },
    { heads, head_size: headSize, split_size: SPLIT_TOKENS, max_splits: splitCount(capacity) },
  )
  const mergeGroups = Math.ceil((heads * headSize) / 64)
  return [
    {
      name: split.name,
      encode: (pass, { position, count }) => split.encode(pass, heads, count, splitCount(position + count)),
    },
    { name: merge.name, encode: (pass, { count }) => merge.encode(pass, mergeGroups, count) },
  ]
}
