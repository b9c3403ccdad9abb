// What one context needs besides weights: activations, KV cache, RoPE table, the step's uniform.
import type { GpuMemory } from '../gpu/memory.ts'
import { partialBytes } from '../ops/attend.ts'
import { chunkRecordBytes } from '../ops/sample-chunks.ts'
import { roundUp, STACK_ROWS } from '../store/manifest.ts'
import { auxRowWords } from './aux-layout.ts'
import { type Blueprint, centralColumns, centralRows } from './blueprint.ts'

/** Tokens of one prefill chunk at most; the size of `tokens` in lib/state.wgsl. */
export const MAX_CHUNK_TOKENS = 128

/** Size of the uniform of lib/state.wgsl. */
export const STATE_BYTES = 32 + MAX_CHUNK_TOKENS * 4

/** What the queue writes once a step. */
export interface StepState {
  position: number
  tokens: readonly number[]
  /** Index in `tokens` of the token whose logits are wanted. */
  logitsToken: number
  isForced: boolean
  /** 0 stands for greedy and reads as 1. */
  temperature: number
  repetitionPenalty: number
}

/** Sizes of the run state in bytes, by buffer. */
export interface StateSizes {
  kvLayerBytes: number
  scratch: Record<ScratchName, number>
}

type ScratchName =
  | 'rope'
  | 'x'
  | 'normed'
  | 'qkv'
  | 'partial'
  | 'attended'
  | 'ffnInput'
  | 'u'
  | 'v'
  | 'h'
  | 'routes'
  | 'forced'
  | 'final'
  | 'logits'
  | 'seen'
  | 'chunks'

/** Rows of gate stacked over up, and where up begins. */
export function stackedRows(blueprint: Blueprint): { rows: number; second: number } {
  const second = roundUp(centralRows(blueprint.experts.gate), STACK_ROWS)
  return { rows: second + centralRows(blueprint.experts.up), second }
}

/** Sizes for `chunkTokens` tokens a step and `contextTokens` positions. */
export function stateSizes(
  blueprint: Blueprint,
  qkvRows: number,
  chunkTokens: number,
  contextTokens: number,
): StateSizes {
  const { hiddenSize, heads, kvHeads, headSize, layers, vocabularySize, experts } = blueprint
  const { topK } = blueprint.router
  const tokens = roundUp(chunkTokens, 4)
  const pairs = roundUp(chunkTokens * topK, 4)
  const { gate, down } = experts
  const uElements = Math.max(2 * centralColumns(gate), centralColumns(down))
  const vRows = Math.max(roundUp(stackedRows(blueprint).rows, 32), roundUp(centralRows(down), 32))
  return {
    kvLayerBytes: kvHeads * headSize * contextTokens * 4,
    scratch: {
      rope: contextTokens * blueprint.ropeDimensions * 4,
      x: tokens * hiddenSize * 4,
      normed: tokens * hiddenSize * 4,
      qkv: tokens * qkvRows * 4,
      partial: partialBytes(blueprint, chunkTokens, contextTokens),
      attended: tokens * heads * headSize * 4,
      ffnInput: tokens * gate.columnCenter * auxRowWords(gate.columnLeft) * 8 * 4,
      u: pairs * uElements * 4,
      v: pairs * vRows * 4,
      h: pairs * down.columnCenter * auxRowWords(down.columnLeft) * 8 * 4,
      routes: layers * chunkTokens * topK * 8,
      forced: layers * chunkTokens * topK * 4,
      final: hiddenSize * 4,
      logits: roundUp(vocabularySize, 32) * 4,
      seen: Math.ceil(vocabularySize / 32) * 4,
      chunks: chunkRecordBytes(vocabularySize),
    },
  }
}

/** Bytes of the largest readback outside scoring: a step's routing and records, or all logits of one token. */
export function readbackBytes(blueprint: Blueprint, chunkTokens: number): number {
  const routes = blueprint.layers * chunkTokens * blueprint.router.topK * 8
  return Math.max(routes + chunkRecordBytes(blueprint.vocabularySize), blueprint.vocabularySize * 4)
}

/** Buffers of one context, owned by `memory`. */
export class RunState {
  readonly state: GPUBuffer
  readonly keys: GPUBuffer[] = []
  readonly values: GPUBuffer[] = []
  readonly buffers: Record<ScratchName, GPUBuffer>
  readonly chunkTokens: number
  readonly contextTokens: number
  /** Elements of `u` between gate and up. */
  readonly uStride: number
  readonly #device: GPUDevice
  readonly #stateData = new ArrayBuffer(STATE_BYTES)

  constructor(
    memory: GpuMemory,
    blueprint: Blueprint,
    qkvRows: number,
    chunkTokens: number,
    contextTokens: number,
  ) {
    this.#device = memory.device
    this.chunkTokens = chunkTokens
    this.contextTokens = contextTokens
    this.uStride = roundUp(chunkTokens * blueprint.router.topK, 4) * centralColumns(blueprint.experts.gate)
    const sizes = stateSizes(blueprint, qkvRows, chunkTokens, contextTokens)
    for (let layer = 0; layer < blueprint.layers; layer++) {
      this.keys.push(memory.allocate(`keys ${layer}`, sizes.kvLayerBytes, 'kv'))
      this.values.push(memory.allocate(`values ${layer}`, sizes.kvLayerBytes, 'kv'))
    }
    const entries = Object.entries(sizes.scratch).map(([name, bytes]) => [
      name,
      memory.allocate(name, bytes, 'scratch'),
    ])
    this.buffers = Object.fromEntries(entries) as Record<ScratchName, GPUBuffer>
    const usage = GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST
    this.state = memory.allocate('state', STATE_BYTES, 'scratch', usage)
    const table = ropeTable(contextTokens, blueprint.ropeDimensions, blueprint.ropeBase)
    this.#device.queue.writeBuffer(this.buffers.rope, 0, table)
  }

  /** Writes the step's uniform through the queue. */
  writeStep(step: StepState): void {
    const view = new DataView(this.#stateData)
    view.setUint32(0, step.position, true)
    view.setUint32(4, step.tokens.length, true)
    view.setUint32(8, step.logitsToken, true)
    view.setUint32(12, step.isForced ? 1 : 0, true)
    view.setFloat32(16, step.temperature > 0 ? 1 / step.temperature : 1, true)
    view.setFloat32(20, step.repetitionPenalty, true)
    for (const [index, token] of step.tokens.entries()) view.setUint32(32 + index * 4, token, true)
    this.#device.queue.writeBuffer(this.state, 0, this.#stateData)
  }
}

/** cos and sin by position and pair, computed in f64: WGSL's own are good to 2⁻¹¹ only. */
export function ropeTable(positions: number, dimensions: number, base: number): Float32Array<ArrayBuffer> {
  const pairs = dimensions / 2
  const table = new Float32Array(positions * dimensions)
  const frequencies = Array.from({ length: pairs }, (_, pair) => base ** ((-2 * pair) / dimensions))
  for (let position = 0; position < positions; position++) {
    for (const [pair, frequency] of frequencies.entries()) {
      const angle = position * frequency
      table[(position * pairs + pair) * 2] = Math.cos(angle)
      table[(position * pairs + pair) * 2 + 1] = Math.sin(angle)
    }
  }
  return table
}
