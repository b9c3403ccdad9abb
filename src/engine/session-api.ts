// What the worker offers its client: plain data in, plain data out. A leaf: types only.
import type { TextRequest } from './generation.ts'
import type {
  Budgets,
  CatalogEntry,
  DeviceInfo,
  EngineStats,
  FinishReason,
  LoadProgress,
  ModelInfo,
  ModelSource,
  StorageUsage,
  TokenEvent,
  Usage,
} from './protocol.ts'

/** Messages from the worker, batched to at most one a frame. */
export type WorkerEvent =
  | { type: 'token'; event: TokenEvent }
  | { type: 'text'; requestId: number; text: string }
  | { type: 'progress'; requestId: number; progress: LoadProgress }
  | { type: 'tool'; requestId: number; doneShare: number }
  | { type: 'device-lost'; message: string }
  | { type: 'model'; model: ModelInfo | undefined }

export type EventSink = (events: WorkerEvent[]) => void

export interface SessionOptions {
  gpuBudgetBytes?: number | undefined
  hostBudgetBytes?: number | undefined
  contextTokens?: number | undefined
  catalog: readonly CatalogEntry[]
  minimalDevice: boolean
}

export interface GenerationSummary {
  finishReason: FinishReason
  usage: Usage
}

export interface SessionApi {
  open(options: SessionOptions, sink: EventSink): Promise<DeviceInfo>
  load(requestId: number, source: ModelSource, contextTokens: number | undefined): Promise<ModelInfo>
  import(requestId: number, source: ModelSource): Promise<ModelInfo>
  unload(): Promise<void>
  close(): Promise<void>
  generate(requestId: number, request: TextRequest): Promise<GenerationSummary>
  /** Ends the request with this id, wherever it is. */
  abort(requestId: number): void
  setBudgets(budgets: Budgets): Promise<void>
  stats(): EngineStats
  listModels(): Promise<ModelInfo[]>
  deleteModel(id: string): Promise<void>
  verifyModel(id: string): Promise<{ damaged: string[] }>
  storageUsage(): Promise<Omit<StorageUsage, 'isPersistent'>>
  /** Tools: perplexity, benchmarks, the plan of the loaded model. */
  measure(requestId: number, name: string, options: unknown): Promise<unknown>
}
