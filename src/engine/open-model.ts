// From a stored manifest to a model that can run: budget, upload, kernels, warm-up. Part of the session.
import { residentExperts } from './cache/resident-experts.ts'
import { EngineError } from './errors.ts'
import { type GpuDevice, withErrorScopes } from './gpu/device.ts'
import { GpuMemory } from './gpu/memory.ts'
import { qkvLayout } from './model/forward.ts'
import { MAX_CHUNK_TOKENS, readbackBytes, STATE_BYTES, stateSizes } from './model/run-state.ts'
import { Runner } from './model/runner.ts'
import { GpuWeights } from './model/weights.ts'
import type { EngineStats, ModelInfo } from './protocol.ts'
import type { ModelManifest } from './store/manifest.ts'
import { createTokenizer, type Tokenizer } from './text/tokenizer.ts'
import type { TokenizerData } from './text/tokenizer-data.ts'

/** Bytes of a group, part by part. */
export type GroupReader = (group: string) => AsyncIterable<{ offsetBytes: number; bytes: ArrayBuffer }>

export interface OpenRequest {
  manifest: ModelManifest
  tokenizerData: TokenizerData
  readGroup: GroupReader
  gpu: GpuDevice
  gpuBudgetBytes: number
  contextTokens: number
  signal: AbortSignal
  onUpload(doneBytes: number, totalBytes: number): void
  onStage(stage: 'compile' | 'warmup'): void
}

/** A model on the device; `close` frees all of it. */
export interface OpenModel {
  readonly manifest: ModelManifest
  readonly runner: Runner
  readonly tokenizer: Tokenizer
  readonly tokenizerData: TokenizerData
  readonly memory: GpuMemory
  close(): void
}

/** Positions of a context when nobody says otherwise. */
const DEFAULT_CONTEXT_TOKENS = 2048
/** A chunk that fills matrix kernels without long submits. */
const CHUNK_TOKENS = 64

/**
 * Positions to allocate for: the wish, or the smaller of the model's and 2048.
 * @throws EngineError `bad-request` when the wish exceeds the model's
 */
export function chooseContext(manifest: ModelManifest, wish: number | undefined): number {
  const { contextTokens } = manifest.blueprint
  if (wish === undefined) return Math.min(contextTokens, DEFAULT_CONTEXT_TOKENS)
  if (!Number.isInteger(wish) || wish < 1 || wish > contextTokens) {
    throw new EngineError(
      'bad-request',
      `contextTokens is ${wish}; ${manifest.name} allows 1 to ${contextTokens}.`,
      {
        hint: 'Choose a whole number in that range.',
        details: { contextTokens: wish, maximum: contextTokens },
      },
    )
  }
  return wish
}

/** GPU bytes that a model needs with a context: weights, KV and scratch, to within the uniforms. */
export function neededBytes(
  manifest: ModelManifest,
  contextTokens: number,
): Record<'weight' | 'kv' | 'scratch', number> {
  const { blueprint, tensors } = manifest
  let weight = 0
  for (const { codes, scales } of tensors) weight += codes.bytes + (scales?.bytes ?? 0)
  const sizes = stateSizes(
    blueprint,
    qkvLayout(blueprint).stride,
    chunkTokensFor(contextTokens),
    contextTokens,
  )
  const scratch = Object.values(sizes.scratch).reduce((sum, bytes) => sum + bytes, 0)
  // Each dispatch of both plans owns one 256-byte uniform slot, in chunks of 64 KiB; 15 dispatches a layer when
  // q, k and v are three matrices. Every buffer may be rounded up by 16 bytes.
  const uniforms = Math.ceil((2 * (15 * blueprint.layers + 8)) / 256 + 1) * 65536
  const rounding = 16 * (2 * tensors.length + 2 * blueprint.layers + 32)
  const readback = readbackBytes(blueprint, chunkTokensFor(contextTokens))
  const others = scratch + uniforms + rounding + readback + STATE_BYTES
  return { weight, kv: 2 * blueprint.layers * sizes.kvLayerBytes, scratch: others }
}

function chunkTokensFor(contextTokens: number): number {
  return Math.min(CHUNK_TOKENS, MAX_CHUNK_TOKENS, contextTokens)
}

/**
 * Brings a stored model onto the device.
 * @throws EngineError `limit-too-small` below the floor or the device's limits, `gpu-memory`, `model-corrupt`,
 * `device-lost`; `AbortError`
 */
export async function openModel(request: OpenRequest): Promise<OpenModel> {
  const { manifest, gpu, contextTokens, signal } = request
  const needed = neededBytes(manifest, contextTokens)
  checkBudget(request.gpuBudgetBytes, needed)
  const memory = new GpuMemory(gpu.device, request.gpuBudgetBytes)
  try {
    const tokenizer = createTokenizer(request.tokenizerData)
    const runner = await withErrorScopes(gpu.device, async () => {
      const weights = new GpuWeights(memory, manifest.tensors)
      await upload(request, weights)
      request.onStage('compile')
      const parts = { blueprint: manifest.blueprint, weights, experts: residentExperts(weights) }
      const runner = await Runner.create(gpu, memory, parts, {
        chunkTokens: chunkTokensFor(contextTokens),
        contextTokens,
      })
      signal.throwIfAborted()
      request.onStage('warmup')
      const sampling = { temperature: 1, repetitionPenalty: 1 }
      await runner.step({ tokens: [0], position: 0, logits: 'last', sampling })
      return runner
    })
    // A device lost after the last step gives no error of its own.
    gpu.check()
    return {
      manifest,
      runner,
      tokenizer,
      tokenizerData: request.tokenizerData,
      memory,
      close: () => memory.destroy(),
    }
  } catch (error) {
    memory.destroy()
    gpu.check()
    throw error
  }
}

/**
 * @throws EngineError `limit-too-small` with the floor when `budgetBytes` is below it
 */
export function checkBudget(budgetBytes: number, needed: Record<'weight' | 'kv' | 'scratch', number>): void {
  const floorBytes = needed.weight + needed.kv + needed.scratch
  if (budgetBytes >= floorBytes) return
  throw new EngineError(
    'limit-too-small',
    `The GPU budget is ${budgetBytes} bytes; this model needs ${floorBytes}.`,
    {
      hint: `Set gpuBudgetBytes to at least ${floorBytes}, or choose a shorter context.`,
      details: {
        budgetBytes,
        floorBytes,
        weightBytes: needed.weight,
        kvBytes: needed.kv,
        scratchBytes: needed.scratch,
      },
    },
  )
}

async function upload(request: OpenRequest, weights: GpuWeights): Promise<void> {
  const { manifest, gpu, signal } = request
  const totalBytes = manifest.groups.reduce((sum, group) => sum + group.bytes, 0)
  let doneBytes = 0
  for (const group of manifest.groups) {
    for await (const part of request.readGroup(group.name)) {
      signal.throwIfAborted()
      gpu.check()
      weights.write(group.name, part.offsetBytes, new Uint8Array(part.bytes))
      doneBytes += part.bytes.byteLength
      request.onUpload(doneBytes, totalBytes)
    }
    // Queue writes stage their bytes: waiting bounds the heap to a group.
    await gpu.device.queue.onSubmittedWorkDone()
  }
}

/** What the outside learns of a stored model. */
export function modelInfo(manifest: ModelManifest): ModelInfo {
  const { blueprint } = manifest
  return {
    id: manifest.id,
    name: manifest.name,
    description: manifest.description,
    license: manifest.license,
    layers: blueprint.layers,
    experts: blueprint.experts.count,
    topK: blueprint.router.topK,
    vocabularySize: blueprint.vocabularySize,
    contextTokens: blueprint.contextTokens,
    downloadBytes: manifest.downloadBytes,
    storedBytes: manifest.storedBytes,
    importedAt: manifest.importedAt,
  }
}

/** Counters of a loaded model; zeros without one. */
export function engineStats(model: OpenModel | undefined, tokensRead: number): EngineStats {
  const none = { gpuBytes: 0, weightBytes: 0, kvBytes: 0, scratchBytes: 0 }
  const counts = model?.runner.counts
  const steps = Math.max(1, counts?.decodeSteps ?? 0)
  return {
    memory: model?.memory.usage() ?? none,
    dispatchesPerToken: (counts?.decodeDispatches ?? 0) / steps,
    submitsPerToken: (counts?.decodeSubmits ?? 0) / steps,
    readbacksPerToken: (counts?.decodeReadbacks ?? 0) / steps,
    tokensRead,
  }
}
