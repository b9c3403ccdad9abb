// Runs steps of the network on the device: what is written before, submitted, and read back after each.
// Knows no text, no sampling rule, no storage.
import { abortError, internalError } from '../errors.ts'
import type { GpuDevice } from '../gpu/device.ts'
import { KernelLibrary } from '../gpu/kernel.ts'
import type { GpuMemory } from '../gpu/memory.ts'
import { Readback, type ReadRange } from '../gpu/readback.ts'
import type { Op, OpContext } from '../ops/op.ts'
import { chunkRecordBytes } from '../ops/sample-chunks.ts'
import { roundUp } from '../store/manifest.ts'
import { headMatrix, makeHead, makeLayers, makeScoreHead, type Network, qkvLayout } from './forward.ts'
import { RunState, readbackBytes } from './run-state.ts'
import { type StepResult, unpackRoutes, untile } from './step-result.ts'

/** How the step's logits will be drawn from. */
export interface SamplingState {
  temperature: number
  repetitionPenalty: number
}

export interface StepRequest {
  tokens: readonly number[]
  position: number
  /** `last`: records for the sampler; `all`: every token's logits; `none`: only the cache is filled. */
  logits: 'none' | 'last' | 'all'
  sampling: SamplingState
  /** Test hook: expert ids [layers, tokens, topK] used in place of the router's choice. */
  forced?: Uint32Array | undefined
}

interface Plan {
  layers: Op[]
  head: Op[]
}

/** Counters since creation. */
export interface RunnerCounts {
  decodeSteps: number
  decodeDispatches: number
  decodeSubmits: number
  decodeReadbacks: number
}

const NEUTRAL: SamplingState = { temperature: 1, repetitionPenalty: 1 }

/** One model with one context on one device. Steps must not overlap. */
export class Runner {
  readonly network: Network
  readonly counts: RunnerCounts = {
    decodeSteps: 0,
    decodeDispatches: 0,
    decodeSubmits: 0,
    decodeReadbacks: 0,
  }
  readonly #gpu: GpuDevice
  readonly #memory: GpuMemory
  readonly #context: OpContext
  readonly #decode: Plan
  readonly #prefill: Plan
  readonly #readback: Readback
  #score: { ops: Op[]; logits: GPUBuffer } | undefined

  private constructor(
    gpu: GpuDevice,
    memory: GpuMemory,
    context: OpContext,
    network: Network,
    plans: [Plan, Plan],
  ) {
    this.#gpu = gpu
    this.#memory = memory
    this.#context = context
    this.network = network
    this.#decode = plans[0]
    this.#prefill = plans[1]
    const { blueprint, state } = network
    this.#readback = new Readback(gpu, memory, readbackBytes(blueprint, state.chunkTokens))
  }

  /** Compiles all kernels and binds all buffers; nothing is created after this. */
  static async create(
    gpu: GpuDevice,
    memory: GpuMemory,
    parts: Omit<Network, 'state'>,
    sizes: { chunkTokens: number; contextTokens: number },
  ): Promise<Runner> {
    const { blueprint } = parts
    const state = new RunState(
      memory,
      blueprint,
      qkvLayout(blueprint).stride,
      sizes.chunkTokens,
      sizes.contextTokens,
    )
    const network: Network = { ...parts, state }
    const context: OpContext = { library: new KernelLibrary(gpu.device), memory, state: state.state }
    const plan = async (tile: 1 | 4): Promise<Plan> => {
      const [layers, head] = await Promise.all([
        makeLayers(context, network, tile),
        makeHead(context, network, tile),
      ])
      return { layers, head }
    }
    return new Runner(gpu, memory, context, network, await Promise.all([plan(1), plan(4)]))
  }

  /** Runs one step: `chunkTokens` tokens at most; one token alone takes the decode kernels. */
  async step(request: StepRequest): Promise<StepResult> {
    const { tokens, position, logits } = request
    const { blueprint, state } = this.network
    if (
      tokens.length < 1 ||
      tokens.length > state.chunkTokens ||
      position + tokens.length > state.contextTokens
    ) {
      throw internalError('model/runner', `${tokens.length} tokens at ${position} do not fit a step`)
    }
    this.#gpu.check()
    const isDecode = tokens.length === 1 && logits !== 'all'
    const plan = isDecode ? this.#decode : this.#prefill
    const score = logits === 'all' ? await this.#scorer() : undefined
    const tail = logits === 'last' ? plan.head : (score?.ops ?? [])
    this.#writeForced(request.forced, tokens.length)
    const { temperature, repetitionPenalty } = request.sampling
    state.writeStep({
      position,
      tokens,
      logitsToken: tokens.length - 1,
      isForced: request.forced !== undefined,
      temperature,
      repetitionPenalty,
    })
    const { device } = this.#gpu
    const encoder = device.createCommandEncoder({ label: isDecode ? 'decode' : 'prefill' })
    const pass = encoder.beginComputePass()
    const step = { position, count: tokens.length }
    for (const op of plan.layers) op.encode(pass, step)
    for (const op of tail) op.encode(pass, step)
    pass.end()
    const ranges = this.#ranges(tokens.length, logits, score?.logits)
    this.#readback.encode(encoder, ranges)
    device.queue.submit([encoder.finish()])
    if (isDecode) {
      this.counts.decodeSteps++
      this.counts.decodeDispatches += plan.layers.length + tail.length
      this.counts.decodeSubmits++
      this.counts.decodeReadbacks++
    }
    const results = await this.#readback.finish(ranges)
    const { layers } = blueprint
    const { topK } = blueprint.router
    const routes = unpackRoutes(results.slice(0, layers), tokens.length * topK)
    const last = results[layers]
    return {
      ...routes,
      chunks: logits === 'last' ? last : undefined,
      logits:
        logits === 'all' && last !== undefined
          ? untile(last, tokens.length, blueprint.vocabularySize)
          : undefined,
    }
  }

  /** The full logits of the last `logits: 'last'` step; a second readback, needed only by rare draws. */
  async readLogits(): Promise<Float32Array> {
    const { blueprint, state } = this.network
    const ranges = [{ buffer: state.buffers.logits, offsetBytes: 0, bytes: blueprint.vocabularySize * 4 }]
    const encoder = this.#gpu.device.createCommandEncoder({ label: 'read logits' })
    this.#readback.encode(encoder, ranges)
    this.#gpu.device.queue.submit([encoder.finish()])
    this.counts.decodeReadbacks++
    const [bytes] = await this.#readback.finish(ranges)
    return new Float32Array(bytes as ArrayBuffer)
  }

  /** Sets the bits of tokens that the repetition penalty applies to. */
  writeSeen(bits: Uint32Array<ArrayBuffer>): void {
    this.#gpu.device.queue.writeBuffer(this.network.state.buffers.seen, 0, bits)
  }

  /**
   * Fills the cache with `tokens` from `position` on, a chunk at a time.
   * @param chunkTokens asked before each chunk, with the milliseconds of the chunk before
   */
  async *prefill(
    tokens: readonly number[],
    position: number,
    options: {
      chunkTokens: (lastMs: number | undefined, lastCount: number) => number
      sampling?: SamplingState
      logits?: 'last' | 'all'
      forced?: ((first: number, count: number) => Uint32Array) | undefined
      signal?: AbortSignal | undefined
    },
  ): AsyncGenerator<StepResult & { first: number; count: number; ms: number }> {
    let lastMs: number | undefined
    let lastCount = 0
    for (let first = 0; first < tokens.length; ) {
      if (options.signal?.aborted === true) throw abortError(options.signal)
      const limit = Math.min(options.chunkTokens(lastMs, lastCount), this.network.state.chunkTokens)
      const count = Math.min(Math.max(1, limit), tokens.length - first)
      const isLast = first + count === tokens.length
      const start = performance.now()
      const result = await this.step({
        tokens: tokens.slice(first, first + count),
        position: position + first,
        logits: options.logits === 'all' ? 'all' : isLast ? 'last' : 'none',
        sampling: options.sampling ?? NEUTRAL,
        forced: options.forced?.(first, count),
      })
      lastMs = performance.now() - start
      lastCount = count
      yield { ...result, first, count, ms: lastMs }
      first += count
    }
  }

  async #scorer(): Promise<{ ops: Op[]; logits: GPUBuffer }> {
    if (this.#score === undefined) {
      const { state } = this.network
      const rows = headMatrix(this.network).rows
      const logits = this.#memory.allocate(
        'scored logits',
        roundUp(state.chunkTokens, 4) * rows * 4,
        'scratch',
      )
      this.#score = { logits, ops: await makeScoreHead(this.#context, this.network, logits) }
    }
    return this.#score
  }

  #writeForced(forced: Uint32Array | undefined, tokens: number): void {
    if (forced === undefined) return
    const { blueprint, state } = this.network
    const entries = tokens * blueprint.router.topK
    const stride = state.chunkTokens * blueprint.router.topK
    for (let layer = 0; layer < blueprint.layers; layer++) {
      const row = new Uint32Array(forced.subarray(layer * entries, (layer + 1) * entries))
      this.#gpu.device.queue.writeBuffer(state.buffers.forced, layer * stride * 4, row)
    }
  }

  #ranges(tokens: number, logits: StepRequest['logits'], scored: GPUBuffer | undefined): ReadRange[] {
    const { blueprint, state } = this.network
    const { topK } = blueprint.router
    const bytes = tokens * topK * 8
    const ranges: ReadRange[] = Array.from({ length: blueprint.layers }, (_, layer) => ({
      buffer: state.buffers.routes,
      offsetBytes: layer * state.chunkTokens * topK * 8,
      bytes,
    }))
    if (logits === 'last') {
      const records = chunkRecordBytes(blueprint.vocabularySize)
      ranges.push({ buffer: state.buffers.chunks, offsetBytes: 0, bytes: records })
    }
    if (scored !== undefined) {
      const tiles = Math.ceil(tokens / 4)
      ranges.push({ buffer: scored, offsetBytes: 0, bytes: tiles * 4 * headMatrix(this.network).rows * 4 })
    }
    return ranges
  }
}
