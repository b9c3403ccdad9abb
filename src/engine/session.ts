// One engine in one thread: device, stored models, the loaded model, and the order of requests.
// Knows no comlink and no DOM; the worker hands it a sink for events.
import { EngineError, isAbort } from './errors.ts'
import { generate, NO_USAGE, type TextRequest } from './generation.ts'
import { type GpuDevice, openDevice } from './gpu/device.ts'
import { ImportSession } from './import-session.ts'
import {
  checkBudget,
  chooseContext,
  engineStats,
  modelInfo,
  neededBytes,
  type OpenModel,
  openModel,
} from './open-model.ts'
import { ProgressMeter } from './progress-meter.ts'
import type { Budgets, DeviceInfo, EngineStats, ModelInfo, ModelSource, StorageUsage } from './protocol.ts'
import { RequestQueue } from './request-queue.ts'
import type { GenerationSummary, SessionApi, SessionOptions, WorkerEvent } from './session-api.ts'
import { busy } from './store/locks.ts'
import type { ModelManifest } from './store/manifest.ts'

/** How long one prefill chunk should take: short enough to stop soon and never to trip a watchdog. */
const CHUNK_TARGET_MS = { hardware: 100, fallback: 1500 }

/** Share of a load's bar that its import takes, when there is one. */
const LOAD_IMPORT_SHARE = 0.6

interface Loaded {
  model: OpenModel
  gpu: GpuDevice
  release: () => void
  /** Token ids whose KV is in the cache. */
  cache: number[]
  contextTokens: number
}

/** The engine behind the port. All failures are `EngineError` or `AbortError`. */
export class Session implements SessionApi {
  #options: SessionOptions = { catalog: [], minimalDevice: false }
  #emit: (event: WorkerEvent) => void = () => undefined
  #gpu: GpuDevice | undefined
  #loaded: Loaded | undefined
  /** What to bring back after a lost device. */
  #wanted: { id: string; contextTokens: number } | undefined
  #chunkTokens: number | undefined
  #isClosed = false
  readonly #imports = new ImportSession()
  readonly #queue = new RequestQueue()

  async open(options: SessionOptions, sink: (events: WorkerEvent[]) => void): Promise<DeviceInfo> {
    checkBytes('gpuBudgetBytes', options.gpuBudgetBytes)
    checkBytes('hostBudgetBytes', options.hostBudgetBytes)
    this.#options = options
    this.#emit = (event) => sink([event])
    return (await this.#device()).info
  }

  /** The loaded model; tools and tests reach the runner through it. */
  get model(): OpenModel | undefined {
    return this.#loaded?.model
  }

  /** The open device, for tools and the device-loss test. */
  get gpu(): GpuDevice | undefined {
    return this.#gpu
  }

  abort(requestId: number): void {
    this.#queue.abort(requestId, new DOMException('The operation was aborted.', 'AbortError'))
  }

  async load(requestId: number, source: ModelSource, contextTokens: number | undefined): Promise<ModelInfo> {
    this.#queue.endAll('generate', notLoaded('The model was replaced while it generated.'))
    return this.#queue.run('load', requestId, async (signal) => {
      this.#checkOpen()
      const report = this.#meter(requestId)
      const manifest = await this.#imports.resolve(source, this.#options.catalog, report, signal)
      const context = chooseContext(manifest, contextTokens ?? this.#options.contextTokens)
      checkBudget(this.#gpuBudget(), neededBytes(manifest, context))
      // From here on the old model is gone, also when the new one fails.
      this.#drop()
      this.#forget()
      await this.#bringUp(manifest, context, report, signal)
      this.#wanted = { id: manifest.id, contextTokens: context }
      const model = modelInfo(manifest)
      this.#emit({ type: 'model', model })
      return model
    })
  }

  async import(requestId: number, source: ModelSource): Promise<ModelInfo> {
    const controller = this.#queue.track('import', requestId)
    try {
      const report = this.#meter(requestId, 1)
      return modelInfo(await this.#imports.resolve(source, this.#options.catalog, report, controller.signal))
    } finally {
      this.#queue.untrack(requestId)
    }
  }

  async unload(): Promise<void> {
    this.#queue.endAll('generate', notLoaded('The model was unloaded while it generated.'))
    this.#queue.endAll('load', notLoaded('The model was unloaded while it loaded.'))
    await this.#queue.run('unload', -1, async () => {
      this.#drop()
      this.#forget()
    })
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#queue.endAll('import', notLoaded('The engine was closed.'))
    await this.unload()
    this.#gpu?.destroy()
    this.#gpu = undefined
  }

  async generate(requestId: number, request: TextRequest): Promise<GenerationSummary> {
    try {
      return await this.#queue.run('generate', requestId, (signal) =>
        this.#generate(requestId, request, signal),
      )
    } catch (error) {
      // Stopped while it waited for its turn: the same end as while it ran.
      if (isAbort(error)) return { finishReason: 'abort', usage: NO_USAGE }
      throw error
    }
  }

  async #generate(requestId: number, request: TextRequest, signal: AbortSignal): Promise<GenerationSummary> {
    this.#checkOpen()
    const { model, gpu, cache } = await this.#ready(requestId, signal)
    try {
      return await generate(request, {
        model,
        cache,
        requestId,
        signal,
        chunkTokens: (lastMs, lastCount) => this.#chunk(gpu, lastMs, lastCount),
        sink: {
          text: (text) => this.#emit({ type: 'text', requestId, text }),
          token: (event) => this.#emit({ type: 'token', event }),
        },
      })
    } catch (error) {
      // What a failed device broke is the device's failure.
      gpu.check()
      throw error
    }
  }

  async setBudgets(budgets: Budgets): Promise<void> {
    const gpuBudgetBytes = checkBytes('gpuBudgetBytes', budgets.gpuBudgetBytes)
    const hostBudgetBytes = checkBytes('hostBudgetBytes', budgets.hostBudgetBytes)
    const loaded = this.#loaded
    if (loaded !== undefined && gpuBudgetBytes !== undefined) {
      checkBudget(gpuBudgetBytes, neededBytes(loaded.model.manifest, loaded.contextTokens))
      loaded.model.memory.budgetBytes = gpuBudgetBytes
    }
    this.#options = {
      ...this.#options,
      gpuBudgetBytes: gpuBudgetBytes ?? this.#options.gpuBudgetBytes,
      hostBudgetBytes: hostBudgetBytes ?? this.#options.hostBudgetBytes,
    }
  }

  stats(): EngineStats {
    return engineStats(this.#loaded?.model, this.#loaded?.cache.length ?? 0)
  }

  async listModels(): Promise<ModelInfo[]> {
    return (await this.#imports.store.list()).map(modelInfo)
  }

  async deleteModel(id: string): Promise<void> {
    const isOwn = this.#wanted?.id === id
    // Asked before the unload: a refusal must not cost the model that runs here.
    if ((await this.#imports.countLoaded(id)) > (this.#loaded !== undefined && isOwn ? 1 : 0)) {
      throw busy(id, 'is loaded')
    }
    if (isOwn) await this.unload()
    await this.#imports.remove(id)
  }

  verifyModel(id: string): Promise<{ damaged: string[] }> {
    return this.#imports.verify(id)
  }

  storageUsage(): Promise<Omit<StorageUsage, 'isPersistent'>> {
    return this.#imports.usage()
  }

  /** Runs a tool of measure/ on the loaded model, alone on the device; its code loads on demand. */
  async measure(requestId: number, name: string, options: unknown): Promise<unknown> {
    return this.#queue.run('generate', requestId, async (signal) => {
      const loaded = await this.#ready(requestId, signal)
      // Tools overwrite the cache.
      loaded.cache.length = 0
      const { runTool } = await import('./measure/tools.ts')
      const report = (doneShare: number): void => this.#emit({ type: 'tool', requestId, doneShare })
      return runTool(name, { model: loaded.model, gpu: loaded.gpu, signal, report }, options)
    })
  }

  async #device(): Promise<GpuDevice> {
    if (this.#gpu !== undefined && this.#gpu.failure === undefined) return this.#gpu
    this.#gpu?.destroy()
    const gpu = await openDevice({ minimal: this.#options.minimalDevice })
    gpu.onFailure((error) => {
      if (gpu !== this.#gpu) return
      this.#drop()
      this.#emit({ type: 'device-lost', message: error.message })
    })
    this.#gpu = gpu
    return gpu
  }

  /** The loaded model, brought back from storage when the device was lost since. */
  async #ready(requestId: number, signal: AbortSignal): Promise<Loaded> {
    if (this.#loaded?.gpu.failure !== undefined) this.#drop()
    if (this.#loaded === undefined && this.#wanted !== undefined) {
      const manifest = await this.#imports.store.get(this.#wanted.id)
      if (manifest !== undefined) {
        await this.#bringUp(manifest, this.#wanted.contextTokens, this.#meter(requestId), signal)
      }
    }
    if (this.#loaded === undefined) throw notLoaded('No model is loaded.')
    return this.#loaded
  }

  async #bringUp(
    manifest: ModelManifest,
    contextTokens: number,
    report: ProgressMeter,
    signal: AbortSignal,
  ): Promise<void> {
    const gpu = await this.#device()
    const release = await this.#imports.holdLoaded(manifest.id, signal)
    let model: OpenModel | undefined
    try {
      model = await openModel({
        manifest,
        tokenizerData: await this.#imports.readTokenizer(manifest, signal),
        readGroup: (group) => this.#imports.readGroup(manifest, group, signal),
        gpu,
        gpuBudgetBytes: this.#gpuBudget(),
        contextTokens,
        signal,
        onUpload: (doneBytes, totalBytes) => report.stage('upload', doneBytes, totalBytes),
        onStage: (stage) => report.stage(stage, 0, 0),
      })
      // The budget may have changed meanwhile.
      checkBudget(this.#gpuBudget(), neededBytes(manifest, contextTokens))
      model.memory.budgetBytes = this.#gpuBudget()
      this.#chunkTokens = undefined
      this.#loaded = { model, gpu, release, cache: [], contextTokens }
    } catch (error) {
      model?.close()
      release()
      throw error
    }
  }

  #chunk(gpu: GpuDevice, lastMs: number | undefined, lastCount: number): number {
    const { hardware, fallback } = CHUNK_TARGET_MS
    const target = gpu.info.isFallback ? fallback : hardware
    this.#chunkTokens ??= gpu.info.isFallback ? 8 : 32
    if (lastMs !== undefined && lastMs > 0 && lastCount >= 4) {
      this.#chunkTokens = Math.max(4, Math.floor((lastCount * target) / lastMs / 4) * 4)
    }
    return this.#chunkTokens
  }

  /** Nothing is loaded, and nothing is to be brought back. */
  #forget(): void {
    if (this.#wanted === undefined) return
    this.#wanted = undefined
    this.#emit({ type: 'model', model: undefined })
  }

  #gpuBudget(): number {
    return this.#options.gpuBudgetBytes ?? Number.POSITIVE_INFINITY
  }

  #drop(): void {
    const loaded = this.#loaded
    this.#loaded = undefined
    loaded?.model.close()
    loaded?.release()
  }

  #meter(requestId: number, importShare = LOAD_IMPORT_SHARE): ProgressMeter {
    return new ProgressMeter((progress) => this.#emit({ type: 'progress', requestId, progress }), importShare)
  }

  #checkOpen(): void {
    if (this.#isClosed) throw notLoaded('The engine is closed.')
  }
}

function notLoaded(message: string): EngineError {
  return new EngineError('not-loaded', message, { hint: 'Load a model, then ask again.' })
}

function checkBytes(name: string, value: number | undefined): number | undefined {
  if (value === undefined || (Number.isFinite(value) && value >= 0)) return value
  throw new EngineError('bad-request', `${name} is ${value}.`, { hint: 'Give a number of bytes, 0 or more.' })
}
