// The network as a list of dispatches: one list for decode (single columns), one for prefill (tiles of
// four). Reads like the paper; src/engine/reference/forward.ts is its plain-loop twin.
import { makeAttend } from '../ops/attend.ts'
import { makeEmbed } from '../ops/embed.ts'
import { makeMatmul } from '../ops/matmul.ts'
import { makeMpoLeft, makeMpoRightAct, makeMpoRightSum } from '../ops/mpo.ts'
import { type GpuMatrix, type Op, type OpContext, type TileColumns, tileFor } from '../ops/op.ts'
import { makeRmsNorm } from '../ops/rms-norm.ts'
import { makeRopeAppend, type QkvLayout } from '../ops/rope-append.ts'
import { makeRouteTopk } from '../ops/route-topk.ts'
import { makeSampleChunks } from '../ops/sample-chunks.ts'
import { GROUP_ROWS, roundUp } from '../store/manifest.ts'
import { auxOffsets } from './aux-layout.ts'
import type { Blueprint } from './blueprint.ts'
import type { ExpertSource } from './expert-source.ts'
import { type RunState, stackedRows } from './run-state.ts'
import type { GpuWeights } from './weights.ts'

export interface Network {
  blueprint: Blueprint
  weights: GpuWeights
  experts: ExpertSource
  state: RunState
}

/** Where q, k and v lie in a token's column: each begins at a row group. */
export function qkvLayout(blueprint: Blueprint): QkvLayout {
  const query = roundUp(blueprint.heads * blueprint.headSize, GROUP_ROWS)
  const key = roundUp(blueprint.kvHeads * blueprint.headSize, GROUP_ROWS)
  return { kOffset: query, vOffset: query + key, stride: query + 2 * key }
}

/** The output head: its own matrix, or the embedding when tied. */
export function headMatrix({ blueprint, weights }: Network): GpuMatrix {
  return weights.matrix(blueprint.tiedHead ? 'embedding' : 'head')
}

/**
 * Embedding and all layers. `tile` is 1 for decode and 4 for prefill.
 * 13 dispatches a layer when q, k and v share one matrix.
 */
export async function makeLayers(context: OpContext, network: Network, tile: TileColumns): Promise<Op[]> {
  const { blueprint, weights, state } = network
  const embed = makeEmbed(context, { embedding: weights.matrix('embedding'), x: state.buffers.x, tile })
  const layers = Array.from({ length: blueprint.layers }, (_, layer) =>
    makeLayer(context, network, tile, layer),
  )
  return [await embed, ...(await Promise.all(layers)).flat()]
}

async function makeLayer(
  context: OpContext,
  network: Network,
  tile: TileColumns,
  layer: number,
): Promise<Op[]> {
  return [
    ...(await makeAttention(context, network, tile, layer)),
    ...(await makeMixture(context, network, tile, layer)),
  ]
}

/** x += Wo · attention(Wq·n, Wk·n, Wv·n), n = RMSNorm(x). */
async function makeAttention(
  context: OpContext,
  network: Network,
  tile: TileColumns,
  layer: number,
): Promise<Op[]> {
  const { blueprint, weights, state } = network
  const { x, normed, qkv, partial, attended, rope } = state.buffers
  const keys = state.keys[layer] as GPUBuffer
  const values = state.values[layer] as GPUBuffer
  const { hiddenSize: hidden, rmsEps: eps } = blueprint
  const layout = qkvLayout(blueprint)
  const capacity = state.contextTokens
  const name = `layer.${layer}`
  // A file may keep q, k and v in different formats; then they are three matrices.
  const matrices: [string, number][] = weights.has(`${name}.qkv`)
    ? [[`${name}.qkv`, 0]]
    : [
        [`${name}.q`, 0],
        [`${name}.k`, layout.kOffset],
        [`${name}.v`, layout.vOffset],
      ]
  const ops = await Promise.all([
    makeRmsNorm(context, { hidden, eps, x, weight: weights.buffer(`${name}.attn_norm`), y: normed, tile }),
    ...matrices.map(([matrix, outFirst]) =>
      makeMatmul(context, {
        matrix: weights.matrix(matrix),
        input: normed,
        output: qkv,
        tile,
        columnsPerToken: 1,
        outRows: layout.stride,
        outFirst,
      }),
    ),
    makeRopeAppend(context, { blueprint, layout, rope, qkv, keys, values, capacity, tile }),
    makeAttend(context, {
      blueprint,
      qkv,
      qkvStride: layout.stride,
      keys,
      values,
      partial,
      output: attended,
      capacity,
      tile,
    }),
    makeMatmul(context, {
      matrix: weights.matrix(`${name}.attn_output`),
      input: attended,
      output: x,
      tile,
      columnsPerToken: 1,
      accumulate: true,
    }),
  ])
  return ops.flat()
}

/** x += Σ_e w_e · down_e(silu(gate_e · n) · (up_e · n)), n = RMSNorm(x), e the chosen experts. */
async function makeMixture(
  context: OpContext,
  network: Network,
  tile: TileColumns,
  layer: number,
): Promise<Op[]> {
  const { blueprint, weights, state } = network
  const { x, ffnInput, u, v, h, routes, forced } = state.buffers
  const { topK } = blueprint.router
  const { gate, up, down } = blueprint.experts
  const { gateUpCentral, downCentral, auxiliaries } = network.experts.layer(layer)
  const offsets = auxOffsets(blueprint.experts)
  const stacked = stackedRows(blueprint)
  const firstRoute = layer * state.chunkTokens * topK
  // One column of the central product is one (token, slot) pair.
  const pairTile: TileColumns = tile === 1 ? tileFor(topK) : 4
  const sweep = { topK, firstRoute, routes, auxiliaries, tile: pairTile }
  return Promise.all([
    makeRouteTopk(context, {
      blueprint,
      firstRoute,
      x,
      norm: weights.buffer(`layer.${layer}.ffn_norm`),
      router: weights.buffer(`layer.${layer}.router`),
      forced,
      routes,
      normed: ffnInput,
      tile,
    }),
    makeMpoLeft(context, {
      ...sweep,
      shape: gate,
      offsets: [offsets.gateLeft, offsets.upLeft],
      x: ffnInput,
      pairsPerInput: topK,
      u,
      matrixStride: state.uStride,
    }),
    makeMatmul(context, {
      matrix: gateUpCentral,
      input: u,
      output: v,
      tile: pairTile,
      columnsPerToken: topK,
      splitRow: stacked.second,
      splitElements: state.uStride,
    }),
    makeMpoRightAct(context, {
      ...sweep,
      gate,
      up,
      down,
      offsets: [offsets.gateRight, offsets.upRight],
      v,
      vRows: gateUpCentral.rows,
      vSecond: stacked.second,
      h,
    }),
    makeMpoLeft(context, {
      ...sweep,
      shape: down,
      offsets: [offsets.downLeft],
      x: h,
      pairsPerInput: 1,
      u,
      matrixStride: 0,
    }),
    makeMatmul(context, { matrix: downCentral, input: u, output: v, tile: pairTile, columnsPerToken: topK }),
    makeMpoRightSum(context, {
      ...sweep,
      shape: down,
      offset: offsets.downRight,
      v,
      vRows: downCentral.rows,
      x,
      tokenTile: tile,
    }),
  ])
}

/** Logits of one token of the step, and what the sampler reads; after layers made with the same `tile`. */
export async function makeHead(context: OpContext, network: Network, tile: TileColumns): Promise<Op[]> {
  const { blueprint, weights, state } = network
  const { x, final, logits, seen, chunks } = state.buffers
  const { hiddenSize: hidden, rmsEps: eps, vocabularySize: vocabulary } = blueprint
  const single = await makeMatmul(context, {
    matrix: headMatrix(network),
    input: final,
    output: logits,
    tile: 1,
    columnsPerToken: 1,
  })
  return [
    await makeRmsNorm(context, {
      hidden,
      eps,
      x,
      weight: weights.buffer('output_norm'),
      y: final,
      tile,
      lastOnly: true,
    }),
    { name: single.name, encode: (pass, step) => single.encode(pass, { ...step, count: 1 }) },
    await makeSampleChunks(context, { vocabulary, logits, seen, chunks }),
  ]
}

/** Logits of every token of a prefill step into `logits`, tiled [tokens, vocabulary]; for scoring. */
export async function makeScoreHead(context: OpContext, network: Network, logits: GPUBuffer): Promise<Op[]> {
  const { blueprint, weights, state } = network
  const { x, normed } = state.buffers
  const { hiddenSize: hidden, rmsEps: eps } = blueprint
  return Promise.all([
    makeRmsNorm(context, { hidden, eps, x, weight: weights.buffer('output_norm'), y: normed, tile: 4 }),
    makeMatmul(context, {
      matrix: headMatrix(network),
      input: normed,
      output: logits,
      tile: 4,
      columnsPerToken: 1,
    }),
  ])
}
