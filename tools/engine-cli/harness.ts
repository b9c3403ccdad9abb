// The page behind the command line: runs one job on the real engine and returns plain data.
import { engineInternals } from '../../src/engine/client.ts'
import type {
  ChatChunk,
  CompletionChunk,
  Engine,
  FinishReason,
  TokenEvent,
  Usage,
} from '../../src/engine/protocol.ts'
import { createEngine, EngineError } from '../../src/index.ts'
import type { GenerateTask, Job, JobError, JobResult, Report } from './job.ts'
import { tokenRows } from './tokens.ts'

declare global {
  // Set by the command line before the page loads.
  var report: (report: Report) => Promise<void>
  var runJob: (job: Job) => Promise<JobResult>
}

const EVENT_PATIENCE_MS = 2000

globalThis.runJob = async (job) => {
  try {
    const engine = await createEngine({
      ...job.engine,
      catalog: [{ id: job.target.id, urls: job.target.urls.map((url) => new URL(url, location.href).href) }],
    })
    try {
      await deleteStale(engine, job)
      await engine.load(job.target.id, { onProgress: (progress) => void report({ kind: 'load', progress }) })
      return { ok: true, value: await runTask(engine, job) }
    } finally {
      await engine.close()
    }
  } catch (error) {
    return { ok: false, error: describeError(error) }
  }
}

async function deleteStale(engine: Engine, { target }: Job): Promise<void> {
  const prefix = target.staleIdPrefix
  if (prefix === undefined) return
  for (const { id } of await engine.models.list()) {
    if (id.startsWith(prefix) && id !== target.id) await engine.models.delete(id)
  }
}

async function runTask(engine: Engine, { task }: Job): Promise<unknown> {
  const { vendor, architecture, isFallback, features, limits } = engine.device
  const device = { vendor, architecture, isFallback, features, limits }
  if (task.kind === 'generate') return { ...(await generate(engine, task)), device }
  const { kind, ...options } = task
  const tool = task.kind === 'bench' ? `bench-${task.name}` : kind
  const measured = await engineInternals(engine).measure(
    tool,
    options,
    (doneShare) => void report({ kind: 'tool', doneShare }),
  )
  return { ...(measured as Record<string, unknown>), device }
}

async function generate(engine: Engine, { input, options }: GenerateTask) {
  const events: TokenEvent[] = []
  const stopListening = engine.on('token', (event) => events.push(event))
  const request = { ...options, stream: true as const, stream_options: { include_usage: true } }
  const chunks: AsyncIterable<ChatChunk | CompletionChunk> =
    'prompt' in input
      ? await engine.completions.create({ ...request, prompt: input.prompt })
      : await engine.chat.completions.create({ ...request, messages: input.messages })
  let text = ''
  let finishReason: FinishReason | null = null
  let usage: Usage | undefined
  for await (const chunk of chunks) {
    const choice = chunk.choices[0]
    const piece = choice === undefined ? '' : 'text' in choice ? choice.text : (choice.delta.content ?? '')
    text += piece
    if (piece !== '') void report({ kind: 'text', text: piece })
    finishReason = choice?.finish_reason ?? finishReason
    usage = chunk.usage ?? usage
  }
  await eventsArrived(events, usage?.total_tokens ?? 0)
  stopListening()
  return { text, finishReason, ...tokenRows(events), usage, stats: await engine.stats() }
}

// Events are batched by the worker, so the last of them may come after the last chunk.
async function eventsArrived(events: readonly TokenEvent[], wanted: number): Promise<void> {
  const deadline = performance.now() + EVENT_PATIENCE_MS
  while (events.length < wanted && performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

function describeError(error: unknown): JobError {
  if (error instanceof EngineError) {
    return { code: error.code, message: error.message, hint: error.hint, details: error.details }
  }
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error)
  return { code: 'internal', message, hint: 'This is a bug in Switchyard. Please report it.', details: {} }
}
