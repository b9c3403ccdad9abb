// Every type that crosses the thread or the public door. A leaf: types only.

/** Stages of making a model ready; each has its own bytes. */
export type LoadStage = 'waiting' | 'download' | 'store' | 'upload' | 'compile' | 'warmup'

export interface LoadProgress {
  stage: LoadStage
  doneBytes: number
  totalBytes: number
  bytesPerSecond: number
  /** Share of the whole work that is done, 0–1. */
  doneShare: number
}

export interface DeviceInfo {
  vendor: string
  architecture: string
  description: string
  isFallback: boolean
  features: string[]
  limits: Record<string, number>
}

export interface MemoryUsage {
  gpuBytes: number
  weightBytes: number
  kvBytes: number
  scratchBytes: number
}

/** Where an expert's weights were when a token needed them. */
export type ExpertSourceName = 'gpu' | 'ram' | 'disk'
export type ExpertPrecision = 'high' | 'low' | 'skip'

/** One MoE layer of the pass that read a token; arrays by falling weight. */
export interface RoutingRow {
  layer: number
  experts: number[]
  weights: number[]
  precision: ExpertPrecision[]
  source: ExpertSourceName[]
  waitMs: number[]
}

/** A token that was read (prompt) or made (decode), with the routing of the pass that read it. */
export interface TokenEvent {
  requestId: number
  /** Position in the context. */
  index: number
  id: number
  text: string
  phase: 'prefill' | 'decode'
  ms: number
  stallMs: number
  bytesRead: number
  logprob: number | null
  layers: number
  topK: number
  /** Expert ids, layers × topK, by falling weight; empty for a token that was never read. */
  experts: Uint16Array
  /** Router weights, layers × topK. */
  weights: Float32Array
}

export interface Usage {
  prompt_tokens: number
  completion_tokens: number
  total_tokens: number
  /** Prompt tokens whose KV was reused. */
  cached_tokens: number
  prefill_tokens_per_second: number
  decode_tokens_per_second: number
  time_to_first_token_ms: number
  bytes_read: number
  hits: number
  faults: number
  stall_ms: number
  low_share: number
}

export type FinishReason = 'stop' | 'length' | 'abort'

export interface ChatMessage {
  role: 'system' | 'user' | 'assistant'
  content: string
}

/** Sampling and limits, in OpenAI's names. Anything else throws `bad-request`. */
export interface GenerationOptions {
  max_tokens?: number
  /** 0 is greedy. */
  temperature?: number
  top_p?: number
  /** 0 keeps all. */
  top_k?: number
  min_p?: number
  repetition_penalty?: number
  seed?: number
  stop?: string | string[]
  stream?: boolean
  stream_options?: { include_usage?: boolean }
  signal?: AbortSignal
  /** Accepted for compatibility; the loaded model answers. */
  model?: string
}

export interface ChatRequest extends GenerationOptions {
  messages: ChatMessage[]
}

export interface CompletionRequest extends GenerationOptions {
  /** Raw text: special tokens are parsed, nothing is added. */
  prompt: string
}

export interface ChatChunk {
  id: string
  object: 'chat.completion.chunk'
  created: number
  model: string
  choices: { index: 0; delta: { role?: 'assistant'; content?: string }; finish_reason: FinishReason | null }[]
  usage?: Usage
}

export interface ChatCompletion {
  id: string
  object: 'chat.completion'
  created: number
  model: string
  choices: { index: 0; message: { role: 'assistant'; content: string }; finish_reason: FinishReason }[]
  usage: Usage
}

export interface CompletionChunk {
  id: string
  object: 'text_completion'
  created: number
  model: string
  choices: { index: 0; text: string; finish_reason: FinishReason | null }[]
  usage?: Usage
}

export interface Completion {
  id: string
  object: 'text_completion'
  created: number
  model: string
  choices: { index: 0; text: string; finish_reason: FinishReason }[]
  usage: Usage
}

/** A model in the catalog or on this device. */
export interface ModelInfo {
  id: string
  name: string
  description: string
  license: string
  layers: number
  experts: number
  topK: number
  vocabularySize: number
  contextTokens: number
  downloadBytes: number
  storedBytes: number
  importedAt: number
}

/** Where to get a model by id. */
export interface CatalogEntry {
  id: string
  /** Addresses of the file's shards, in order. */
  urls: string[]
}

/** What `load` and `models.import` take: an id, addresses, or files. */
export type ModelSource =
  | string
  | { url: string | string[]; id?: string }
  | { files: readonly (File | Blob)[]; id?: string }

export interface LoadOptions {
  onProgress?: (progress: LoadProgress) => void
  signal?: AbortSignal
  contextTokens?: number
}

export interface EngineOptions {
  /** Bound on everything the engine allocates on the GPU. Default: none below the device's own. */
  gpuBudgetBytes?: number
  /** Bound on weights kept in RAM. */
  hostBudgetBytes?: number
  /** Positions of the KV cache. Default: the smaller of the model's and 2048. */
  contextTokens?: number
  catalog?: readonly CatalogEntry[]
  /** An own worker that runs `switchyard/worker`. */
  worker?: Worker
  /** Ask for no optional features and default limits, as the weakest conforming device has. */
  minimalDevice?: boolean
}

export interface Budgets {
  gpuBudgetBytes?: number
  hostBudgetBytes?: number
}

export interface StorageUsage {
  usedBytes: number
  quotaBytes: number
  isPersistent: boolean
  models: { id: string; storedBytes: number }[]
}

/** Counters since load. */
export interface EngineStats {
  memory: MemoryUsage
  dispatchesPerToken: number
  readbacksPerToken: number
  submitsPerToken: number
  tokensRead: number
}

/** Events an embedder can listen to. */
export interface EngineEvents {
  /** Routing of every token read or made; batched by the worker, delivered one by one. */
  token: TokenEvent
  /** The device was lost; the next request reloads from storage. */
  'device-lost': { message: string }
  /** A model became ready or went away. */
  model: { model: ModelInfo | undefined }
}

/** Chunks as they come; may be awaited first or iterated at once. */
export type Streamed<Chunk> = Promise<AsyncIterable<Chunk>> & AsyncIterable<Chunk>

/** Create a chat completion: an async iterable of chunks with `stream: true`, else one object. */
export interface ChatCompletions {
  create(request: ChatRequest & { stream: true }): Streamed<ChatChunk>
  create(request: ChatRequest & { stream?: false }): Promise<ChatCompletion>
}

export interface Completions {
  create(request: CompletionRequest & { stream: true }): Streamed<CompletionChunk>
  create(request: CompletionRequest & { stream?: false }): Promise<Completion>
}

/** What `createEngine` resolves to. All failures are `EngineError` or the platform's `AbortError`. */
export interface Engine {
  readonly device: DeviceInfo
  /** The model that is loaded now. */
  readonly model: ModelInfo | undefined
  load(source: ModelSource, options?: LoadOptions): Promise<ModelInfo>
  unload(): Promise<void>
  close(): Promise<void>
  setBudgets(budgets: Budgets): Promise<void>
  stats(): Promise<EngineStats>
  on<Name extends keyof EngineEvents>(name: Name, listener: (event: EngineEvents[Name]) => void): () => void
  readonly chat: { readonly completions: ChatCompletions }
  readonly completions: Completions
  readonly models: {
    list(): Promise<ModelInfo[]>
    import(source: ModelSource, options?: LoadOptions): Promise<ModelInfo>
    delete(id: string): Promise<void>
    verify(id: string): Promise<{ damaged: string[] }>
    usage(): Promise<StorageUsage>
  }
}
