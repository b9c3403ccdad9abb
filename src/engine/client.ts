// The engine on the main thread: starts the worker, turns calls into messages and messages into iterables.
// Never sees weights; imports no run-time code of the engine.
import { proxy, type Remote, releaseProxy, wrap } from 'comlink'
import { absoluteCatalog, checkOptions, plainSource } from './client-input.ts'
import { ClientStreams, streamed } from './client-streams.ts'
import { installErrorTransfer } from './error-transfer.ts'
import { abortError, EngineError, isAbort } from './errors.ts'
import type {
  Budgets,
  CompletionRequest,
  DeviceInfo,
  Engine,
  EngineEvents,
  EngineOptions,
  EngineStats,
  LoadOptions,
  LoadProgress,
  ModelInfo,
  ModelSource,
  StorageUsage,
} from './protocol.ts'
import type { SessionApi, WorkerEvent } from './session-api.ts'

type Listeners = { [Name in keyof EngineEvents]: Set<(event: EngineEvents[Name]) => void> }

/**
 * Starts an engine in a worker and opens the device.
 * @throws EngineError `webgpu-missing`, `adapter-missing`, `bad-request`
 */
export async function createEngine(options: EngineOptions = {}): Promise<Engine> {
  checkOptions('createEngine', options)
  installErrorTransfer()
  const worker = options.worker ?? startWorker()
  const client = new EngineClient(worker, options)
  try {
    await client.open()
  } catch (error) {
    client.terminate()
    throw error
  }
  return client
}

/** The internal calls of an engine, for this project's own tools and tests. */
export interface EngineInternals {
  /** Runs a tool of measure/ on the loaded model; `onProgress` gets the share that is done. */
  measure(name: string, options?: unknown, onProgress?: (doneShare: number) => void): Promise<unknown>
}

/** The internals of an engine that `createEngine` made. */
export function engineInternals(engine: Engine): EngineInternals {
  return engine as EngineClient
}

function startWorker(): Worker {
  return new Worker(new URL('./worker.ts', import.meta.url), { type: 'module', name: 'switchyard' })
}

class EngineClient implements Engine, EngineInternals {
  readonly remote: Remote<SessionApi>
  readonly chat: Engine['chat']
  readonly completions: Engine['completions']
  readonly models: Engine['models'] = {
    list: () => this.#call(() => this.remote.listModels()),
    import: (source, options = {}) =>
      this.#withProgress(options, (id) => this.remote.import(id, plainSource(source))),
    delete: (id) => this.#call(() => this.remote.deleteModel(id)),
    verify: (id) => this.#call(() => this.remote.verifyModel(id)),
    usage: () => this.#storageUsage(),
  }
  readonly #worker: Worker
  readonly #options: EngineOptions
  readonly #listeners: Listeners = { token: new Set(), 'device-lost': new Set(), model: new Set() }
  readonly #progress = new Map<number, (progress: LoadProgress) => void>()
  readonly #tools = new Map<number, (doneShare: number) => void>()
  readonly #streams: ClientStreams
  #device: DeviceInfo | undefined
  #model: ModelInfo | undefined
  #nextId = 1
  #ended: EngineError | undefined
  #isTerminated = false
  #isClosing = false
  /** Rejects every call in flight when the worker dies. */
  readonly #death: Promise<never>
  #die: (error: EngineError) => void = () => undefined

  constructor(worker: Worker, options: EngineOptions) {
    this.#worker = worker
    this.#options = options
    this.remote = wrap<SessionApi>(worker)
    this.#death = new Promise((_, reject) => {
      this.#die = (error) => {
        this.#ended ??= error
        reject(error)
      }
    })
    this.#death.catch(() => undefined)
    worker.addEventListener('error', (event) => {
      event.preventDefault()
      this.#die(
        new EngineError(
          'internal',
          `The engine’s worker stopped: ${event.message || 'it could not be started'}.`,
          {
            hint: 'Reload the page. If you bundle the engine, check that its worker file is served.',
          },
        ),
      )
    })
    this.#streams = new ClientStreams({
      nextId: () => this.#nextId++,
      modelName: () => this.#model?.id ?? '',
      generate: (id, request) => this.#call(() => this.remote.generate(id, request)),
      abort: (id) => this.#abort(id),
    })
    this.chat = {
      completions: {
        create: ((request) =>
          streamed(this.#streams.chat(request))) as Engine['chat']['completions']['create'],
      },
    }
    this.completions = {
      create: ((request: CompletionRequest) =>
        streamed(this.#streams.completion(request))) as Engine['completions']['create'],
    }
  }

  get device(): DeviceInfo {
    return this.#device as DeviceInfo
  }

  get model(): ModelInfo | undefined {
    return this.#model
  }

  async open(): Promise<void> {
    const { gpuBudgetBytes, hostBudgetBytes, contextTokens, catalog, minimalDevice } = this.#options
    const options = {
      gpuBudgetBytes,
      hostBudgetBytes,
      contextTokens,
      catalog: absoluteCatalog(catalog),
      minimalDevice: minimalDevice === true,
    }
    const sink = proxy((events: WorkerEvent[]) => this.#receive(events))
    this.#device = await this.#call(() => this.remote.open(options, sink))
  }

  async load(source: ModelSource, options: LoadOptions = {}): Promise<ModelInfo> {
    this.#askPersistence()
    const model = await this.#withProgress(options, (id) =>
      this.remote.load(id, plainSource(source), options.contextTokens),
    )
    this.#model = model
    return model
  }

  async unload(): Promise<void> {
    await this.#call(() => this.remote.unload())
    this.#model = undefined
  }

  async close(): Promise<void> {
    if (this.#isTerminated || this.#isClosing) return
    this.#isClosing = true
    try {
      // A worker that has died by itself has nothing to say, but still has memory.
      if (this.#ended === undefined) await this.#call(() => this.remote.close())
    } finally {
      this.terminate()
    }
  }

  /** Ends the worker; later calls reject with `not-loaded`. */
  terminate(): void {
    if (this.#isTerminated) return
    this.#isTerminated = true
    this.#die(new EngineError('not-loaded', 'The engine is closed.', { hint: 'Create a new engine.' }))
    this.remote[releaseProxy]()
    if (this.#options.worker === undefined) this.#worker.terminate()
    this.#model = undefined
  }

  async setBudgets(budgets: Budgets): Promise<void> {
    checkOptions('setBudgets', budgets)
    return this.#call(() => this.remote.setBudgets(budgets))
  }

  stats(): Promise<EngineStats> {
    return this.#call(() => this.remote.stats())
  }

  async measure(
    name: string,
    options: unknown = {},
    onProgress?: (doneShare: number) => void,
  ): Promise<unknown> {
    const id = this.#nextId++
    if (onProgress !== undefined) this.#tools.set(id, onProgress)
    try {
      return await this.#call(() => this.remote.measure(id, name, options))
    } finally {
      this.#tools.delete(id)
    }
  }

  on<Name extends keyof EngineEvents>(name: Name, listener: (event: EngineEvents[Name]) => void): () => void {
    const listeners = this.#listeners[name]
    listeners.add(listener)
    return () => void listeners.delete(listener)
  }

  /** After the end there is nobody to tell, and a released port would throw. */
  #abort(id: number): void {
    if (this.#ended === undefined) void this.remote.abort(id)
  }

  async #call<Result>(call: () => Promise<Result>): Promise<Result> {
    if (this.#ended !== undefined) throw this.#ended
    return Promise.race([call(), this.#death])
  }

  async #withProgress<Result>(options: LoadOptions, call: (id: number) => Promise<Result>): Promise<Result> {
    checkOptions('load', options)
    const { signal, onProgress } = options
    if (signal?.aborted === true) throw abortError(signal)
    const id = this.#nextId++
    if (onProgress !== undefined) this.#progress.set(id, onProgress)
    const abort = (): void => this.#abort(id)
    signal?.addEventListener('abort', abort, { once: true })
    try {
      return await this.#call(() => call(id))
    } catch (error) {
      // The signal's own reason, when it has one.
      throw isAbort(error) ? abortError(signal) : error
    } finally {
      signal?.removeEventListener('abort', abort)
      this.#progress.delete(id)
    }
  }

  #receive(events: readonly WorkerEvent[]): void {
    for (const event of events) {
      if (event.type === 'token') this.#deliver('token', event.event)
      else if (event.type === 'text') this.#streams.receive(event.requestId, event.text)
      else if (event.type === 'progress') guarded(this.#progress.get(event.requestId), event.progress)
      else if (event.type === 'tool') guarded(this.#tools.get(event.requestId), event.doneShare)
      else if (event.type === 'device-lost') this.#deliver('device-lost', { message: event.message })
      else {
        this.#model = event.model
        this.#deliver('model', { model: event.model })
      }
    }
  }

  #deliver<Name extends keyof EngineEvents>(name: Name, event: EngineEvents[Name]): void {
    for (const listener of this.#listeners[name]) guarded(listener, event)
  }

  /** Only a window may ask for persistence; a refusal changes nothing. */
  #askPersistence(): void {
    void globalThis.navigator?.storage?.persist?.().catch(() => false)
  }

  async #storageUsage(): Promise<StorageUsage> {
    const usage = await this.#call(() => this.remote.storageUsage())
    return { ...usage, isPersistent: (await globalThis.navigator?.storage?.persisted?.()) ?? false }
  }
}

/** A listener that throws must not cut off the others; its error surfaces as an uncaught one. */
function guarded<Value>(listener: ((value: Value) => void) | undefined, value: Value): void {
  try {
    listener?.(value)
  } catch (error) {
    reportError(error)
  }
}
