// What crosses between the command line and the harness page. Types only.
import type { ErrorDetails } from '../../src/engine/errors.ts'
import type {
  ChatMessage,
  EngineOptions,
  GenerationOptions,
  LoadProgress,
} from '../../src/engine/protocol.ts'
import type { ModelTarget } from './model-files.ts'

export interface GenerateTask {
  kind: 'generate'
  input: { prompt: string } | { messages: ChatMessage[] }
  options: GenerationOptions
}

export interface PerplexityTask {
  kind: 'perplexity'
  text: string
  tokens: number
  windowTokens: number
}

export type Task =
  | GenerateTask
  | PerplexityTask
  | { kind: 'inspect'; gpuBudgetBytes?: number }
  | { kind: 'bench'; name: 'decode'; full: boolean }

/** One run of the harness page. */
export interface Job {
  target: ModelTarget
  engine: EngineOptions
  task: Task
}

/** What the page says while it works. */
export type Report =
  | { kind: 'load'; progress: LoadProgress }
  | { kind: 'text'; text: string }
  | { kind: 'tool'; doneShare: number }

export interface JobError {
  code: string
  message: string
  hint: string
  details: ErrorDetails
}

export type JobResult = { ok: true; value: unknown } | { ok: false; error: JobError }
