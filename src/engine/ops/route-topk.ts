// FFN norm, router, top-k in one dispatch; see route_topk.wgsl.
import source from '../../shaders/route_topk.wgsl'
import { auxRowWords } from '../model/aux-layout.ts'
import type { Blueprint } from '../model/blueprint.ts'
import type { Op, OpContext, TileColumns } from './op.ts'

export interface RouteOptions {
  blueprint: Blueprint
  /** First entry of the layer in `routes` and `forced`. */
  firstRoute: number
  x: GPUBuffer
  norm: GPUBuffer
  router: GPUBuffer
  forced: GPUBuffer
  routes: GPUBuffer
  /** [tokens, column_center, padded column_left]: the input of the left sweep. */
  normed: GPUBuffer
  tile: TileColumns
}

/** Chooses the experts of every token of the step. */
export async function makeRouteTopk(context: OpContext, options: RouteOptions): Promise<Op> {
  const { blueprint, tile, firstRoute, x, norm, router, forced, routes, normed } = options
  const { router: description, experts } = blueprint
  const kernel = await context.library.get(source, { overrides: { COLUMNS: tile } })
  const bound = kernel.bind(
    context.memory,
    { state: context.state, x, norm, router, forced, routes, normed },
    {
      hidden: blueprint.hiddenSize,
      experts: experts.count,
      top_k: description.topK,
      parts: Math.max(1, Math.floor(64 / experts.count)),
      eps: blueprint.rmsEps,
      scale: description.scale,
      renormalize: description.renormalize ? 1 : 0,
      first_route: firstRoute,
      column_center: experts.gate.columnCenter,
      left_stride: auxRowWords(experts.gate.columnLeft) * 8,
    },
  )
  return { name: bound.name, encode: (pass, { count }) => bound.encode(pass, count) }
}
