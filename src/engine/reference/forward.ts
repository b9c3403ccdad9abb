// The whole network, token by token, as its definition: the specification that kernels are compared with.
import { internalError } from '../errors.ts'
import { type Blueprint, centralColumns, centralRows, type MpoShape } from '../model/blueprint.ts'
import { attend } from './attention.ts'
import { ffn, type MpoLayer, type MpoMatrix } from './ffn.ts'
import { at, multiply, type Numbers } from './numbers.ts'
import { rmsNorm } from './rms-norm.ts'
import { rope } from './rope.ts'
import { type Route, route } from './route.ts'

/** Dense tensors by GGUF name, C order, e.g. `blk.0.attn_q.weight` [heads·headSize, hidden]. */
export type ReferenceWeights = Readonly<Record<string, Numbers>>

/** Keys and values read so far: [layer][position] → [kvHeads, headSize]. Owned by the caller, grown by `referenceForward`. */
export interface ReferenceCache {
  keys: Numbers[][]
  values: Numbers[][]
}

export interface ReferenceOptions {
  /** Continue after what the cache holds; default: an empty one. */
  cache?: ReferenceCache
  /** Experts to use instead of the router's choice, [layer][token]. */
  forcedExperts?: readonly (readonly (readonly number[])[])[]
}

export interface ReferenceResult {
  /** One row [vocabulary] a token. */
  logits: Float64Array[]
  /** [layer][token]. */
  routing: Route[][]
}

/** A cache with nothing in it. */
export function createReferenceCache(blueprint: Blueprint): ReferenceCache {
  const rows = (): Numbers[][] => Array.from({ length: blueprint.layers }, () => [])
  return { keys: rows(), values: rows() }
}

/** Reads tokens and gives the logits after each, with every layer's routing. Throws `internal` on a missing or misshapen tensor. */
export function referenceForward(
  blueprint: Blueprint,
  weights: ReferenceWeights,
  tokenIds: readonly number[],
  options: ReferenceOptions = {},
): ReferenceResult {
  const { hiddenSize, vocabularySize, rmsEps } = blueprint
  const cache = options.cache ?? createReferenceCache(blueprint)
  const embedding = tensor(weights, 'token_embd.weight', vocabularySize * hiddenSize)
  const head = blueprint.tiedHead ? embedding : tensor(weights, 'output.weight', vocabularySize * hiddenSize)
  const outputNorm = tensor(weights, 'output_norm.weight', hiddenSize)
  const result: ReferenceResult = { logits: [], routing: Array.from({ length: blueprint.layers }, () => []) }
  tokenIds.forEach((id, token) => {
    let x: Numbers = embedding.slice(id * hiddenSize, (id + 1) * hiddenSize)
    result.routing.forEach((routes, layer) => {
      const get = (name: string, size: number): Numbers =>
        tensor(weights, `blk.${layer}.${name}.weight`, size)
      x = add(x, attentionBlock(blueprint, get, cache, layer, x))
      const normed = rmsNorm(x, get('ffn_norm', hiddenSize), rmsEps)
      const { count } = blueprint.experts
      const scores = multiply(get('ffn_gate_inp', count * hiddenSize), count, normed)
      const chosen = route(blueprint.router, scores, options.forcedExperts?.[layer]?.[token])
      routes.push(chosen)
      x = add(x, ffn(blueprint.experts, mpoLayer(blueprint, get), chosen, normed))
    })
    result.logits.push(multiply(head, vocabularySize, rmsNorm(x, outputNorm, rmsEps)))
  })
  return result
}

type GetTensor = (name: string, size: number) => Numbers

function attentionBlock(
  blueprint: Blueprint,
  get: GetTensor,
  cache: ReferenceCache,
  layer: number,
  x: Numbers,
): Float64Array {
  const { hiddenSize, heads, kvHeads, headSize, ropeDimensions, ropeBase } = blueprint
  const keys = cache.keys[layer] ?? []
  const values = cache.values[layer] ?? []
  const position = keys.length
  const normed = rmsNorm(x, get('attn_norm', hiddenSize), blueprint.rmsEps)
  const project = (name: string, rows: number) => multiply(get(name, rows * hiddenSize), rows, normed)
  const turn = (part: Numbers) => rope(part, headSize, ropeDimensions, ropeBase, position)
  keys.push(turn(project('attn_k', kvHeads * headSize)))
  values.push(project('attn_v', kvHeads * headSize))
  const mixed = attend(blueprint, turn(project('attn_q', heads * headSize)), keys, values)
  return multiply(get('attn_output', hiddenSize * heads * headSize), hiddenSize, mixed)
}

function mpoLayer(blueprint: Blueprint, get: GetTensor): MpoLayer {
  const { count, gate, up, down } = blueprint.experts
  const matrix = (name: string, shape: MpoShape): MpoMatrix => ({
    left: get(`${name}_mpo_left`, count * shape.leftBond * shape.columnLeft),
    central: get(`${name}_mpo_central`, centralRows(shape) * centralColumns(shape)),
    right: get(`${name}_mpo_right`, count * shape.rowRight * shape.rightBond),
  })
  return { gate: matrix('ffn_gate', gate), up: matrix('ffn_up', up), down: matrix('ffn_down', down) }
}

function tensor(weights: ReferenceWeights, name: string, size: number): Numbers {
  const found = weights[name]
  if (found?.length !== size) {
    throw internalError('reference', `${name} has ${found?.length ?? 0} numbers instead of ${size}`)
  }
  return found
}

function add(x: Numbers, y: Numbers): Float64Array {
  return Float64Array.from(x, (value, k) => value + at(y, k))
}
