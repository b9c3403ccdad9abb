// The engine as the page sees it: checking the device, which models are here, loading, ready, lost.
import { batch, computed, signal } from '@preact/signals'
import type {
  DeviceInfo,
  Engine,
  LoadProgress,
  ModelInfo,
  ModelSource,
  StorageUsage,
  TokenEvent,
} from '../../index.ts'
import type { Announcer } from '../a11y/announce.ts'
import { catalogEntry, DEFAULT_OFFER } from '../catalog.ts'
import { formatBytes, formatShare } from '../format.ts'
import type { Door } from './page.ts'
import { isAbort, type Problem, toProblem } from './problem.ts'

export interface Loading {
  name: string
  startedMs: number
  progress: LoadProgress | undefined
  /** `doneShare` of the first report: what an earlier visit had stored already. */
  firstShare: number
}

export class EngineState {
  /** Set once the device was checked; undefined while checking or when there is none. */
  readonly engine = signal<Engine | undefined>(undefined)
  /** Why there is no engine. */
  readonly missing = signal<Problem | undefined>(undefined)
  readonly stored = signal<ModelInfo[]>([])
  readonly storage = signal<StorageUsage | undefined>(undefined)
  readonly loading = signal<Loading | undefined>(undefined)
  readonly model = signal<ModelInfo | undefined>(undefined)
  /** A failed load or delete. */
  readonly problem = signal<Problem | undefined>(undefined)
  /** A load was stopped; what it stored is kept. */
  readonly wasStopped = signal(false)
  /** The device was lost: what the platform said. */
  readonly lost = signal<string | undefined>(undefined)
  readonly device = computed<DeviceInfo | undefined>(() => this.engine.value?.device)

  #door: Promise<Door>
  #announcer: Announcer
  #onToken: (event: TokenEvent) => void
  #onModel: (model: ModelInfo, device: DeviceInfo, door: Door) => void
  #abort: AbortController | undefined

  constructor(
    door: Promise<Door>,
    announcer: Announcer,
    onToken: (event: TokenEvent) => void,
    onModel: (model: ModelInfo, device: DeviceInfo, door: Door) => void,
  ) {
    this.#door = door
    this.#announcer = announcer
    this.#onToken = onToken
    this.#onModel = onModel
  }

  /** Checks the device and looks which models are stored; fetches no model. */
  async start(): Promise<void> {
    this.missing.value = undefined
    try {
      const door = await this.#door
      const engine = await door.createEngine({ catalog: [catalogEntry(DEFAULT_OFFER, document.baseURI)] })
      engine.on('token', this.#onToken)
      engine.on('device-lost', ({ message }) => {
        this.lost.value = message
        this.#announcer.say('The graphics device was lost.')
      })
      engine.on('model', ({ model }) => {
        this.model.value = model
        if (model !== undefined) this.#onModel(model, engine.device, door)
      })
      this.engine.value = engine
      await this.refresh()
    } catch (error) {
      if (this.engine.value === undefined) this.missing.value = toProblem(error)
      else this.problem.value = toProblem(error)
    }
  }

  /** Reads again which models are stored. */
  async refresh(): Promise<void> {
    const engine = this.engine.value
    if (engine === undefined) return
    const [stored, storage] = await Promise.all([engine.models.list(), engine.models.usage()])
    batch(() => {
      this.stored.value = stored
      this.storage.value = storage
    })
  }

  /** Loads a model, importing it first when it is not stored. */
  async load(source: ModelSource): Promise<void> {
    const engine = this.engine.value
    if (engine === undefined || this.loading.value !== undefined) return
    const abort = new AbortController()
    this.#abort = abort
    batch(() => {
      this.problem.value = undefined
      this.wasStopped.value = false
      this.loading.value = {
        name: this.#nameOf(source),
        startedMs: performance.now(),
        progress: undefined,
        firstShare: 0,
      }
    })
    this.#announcer.say('Loading the model.')
    this.#announcer.startRates(performance.now())
    try {
      const model = await engine.load(source, {
        signal: abort.signal,
        onProgress: (report) => this.#report(report),
      })
      if (this.model.value?.id !== model.id) {
        this.model.value = model
        this.#onModel(model, engine.device, await this.#door)
      }
      this.lost.value = undefined
      this.#announcer.say('The model is ready.')
    } catch (error) {
      if (isAbort(error)) {
        this.wasStopped.value = true
        this.#announcer.say('Loading stopped.')
      } else this.problem.value = toProblem(error)
    }
    this.loading.value = undefined
    this.#abort = undefined
    await this.#try(() => this.refresh())
  }

  stopLoading(): void {
    this.#abort?.abort()
  }

  async unload(): Promise<void> {
    await this.#try(async () => {
      await this.engine.value?.unload()
      this.model.value = undefined
    })
  }

  /** Removes a model from this device, unloading it first. */
  async delete(id: string): Promise<void> {
    await this.#try(async () => {
      if (this.model.value?.id === id) {
        await this.engine.value?.unload()
        this.model.value = undefined
      }
      await this.engine.value?.models.delete(id)
      this.#announcer.say('The model was deleted.')
      await this.refresh()
    })
  }

  /** After a loss: loads the model again, with a new engine when the old one cannot. */
  async restart(): Promise<void> {
    const id = this.model.value?.id
    this.lost.value = undefined
    this.model.value = undefined
    if (id !== undefined) await this.load(id)
    if (id !== undefined && this.problem.value === undefined) return
    const old = this.engine.value
    this.engine.value = undefined
    // What the lost engine still says helps nobody: it is being replaced.
    await old?.close().catch(() => undefined)
    await this.start()
    if (id !== undefined) await this.load(id)
  }

  #nameOf(source: ModelSource): string {
    if (typeof source !== 'string') return 'files' in source ? 'your files' : 'a model'
    if (source === DEFAULT_OFFER.id) return DEFAULT_OFFER.name
    return this.stored.value.find(({ id }) => id === source)?.name ?? source
  }

  #report(progress: LoadProgress): void {
    const before = this.loading.value
    if (before === undefined) return
    const firstShare = before.progress === undefined ? progress.doneShare : before.firstShare
    this.loading.value = { ...before, progress, firstShare }
    this.#announcer.sayRate(performance.now(), () => {
      const { stage, doneShare, bytesPerSecond } = progress
      const rate = bytesPerSecond > 0 ? `, ${formatBytes(bytesPerSecond)} a second` : ''
      return `${STAGE_WORDS[stage]}, ${formatShare(doneShare)} of all${rate}.`
    })
  }

  async #try(action: () => Promise<void>): Promise<void> {
    try {
      await action()
    } catch (error) {
      if (!isAbort(error)) this.problem.value = toProblem(error)
    }
  }
}

/** A load's stages in words. */
export const STAGE_WORDS = {
  waiting: 'Waiting for another tab',
  download: 'Download',
  store: 'Store',
  upload: 'Upload',
  compile: 'Compile',
  warmup: 'Warm up',
} as const
