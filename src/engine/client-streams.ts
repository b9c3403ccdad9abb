// Requests and answers in OpenAI's shapes on the main thread: chunks as they come, or one whole.
import { abortError, EngineError } from './errors.ts'
import type { TextRequest } from './generation.ts'
import type {
  ChatChunk,
  ChatCompletion,
  ChatRequest,
  Completion,
  CompletionChunk,
  CompletionRequest,
  FinishReason,
  GenerationOptions,
  Usage,
} from './protocol.ts'
import { checkSampling } from './sample/check-sampling.ts'
import type { GenerationSummary } from './session-api.ts'

interface Port {
  nextId(): number
  modelName(): string
  generate(id: number, request: TextRequest): Promise<GenerationSummary>
  abort(id: number): void
}

/** What both kinds of request come down to: text as it comes, then how it ended. */
type Piece = { text: string } | { finishReason: FinishReason; usage: Usage }

/** The answer to a request as `Streamed`: what it resolves to can be iterated without awaiting it first. */
export function streamed<Chunk, Whole>(
  answer: Promise<AsyncIterable<Chunk> | Whole>,
): typeof answer & AsyncIterable<Chunk> {
  return Object.assign(answer, {
    async *[Symbol.asyncIterator](): AsyncGenerator<Chunk> {
      yield* (await answer) as AsyncIterable<Chunk>
    },
  })
}

/** Running requests by id. */
export class ClientStreams {
  readonly #port: Port
  readonly #receivers = new Map<number, (text: string) => void>()

  constructor(port: Port) {
    this.#port = port
  }

  /** Text of a running request from the worker. */
  receive(requestId: number, text: string): void {
    this.#receivers.get(requestId)?.(text)
  }

  async chat(request: ChatRequest): Promise<AsyncIterable<ChatChunk> | ChatCompletion> {
    const checked = checkRequest(request, { kind: 'chat', messages: request.messages })
    const id = this.#port.nextId()
    const base = { id: `chatcmpl-${id}`, created: Math.floor(Date.now() / 1000) }
    if (request.stream === true) {
      const withUsage = request.stream_options?.include_usage === true
      const head = { ...base, object: 'chat.completion.chunk' as const }
      return this.#chunks(id, checked, request, (piece, isFirst) => {
        const model = this.#port.modelName()
        if ('text' in piece) {
          const delta = isFirst
            ? { role: 'assistant' as const, content: piece.text }
            : { content: piece.text }
          return { ...head, model, choices: [{ index: 0, delta, finish_reason: null }] }
        }
        const choices: ChatChunk['choices'] = [{ index: 0, delta: {}, finish_reason: piece.finishReason }]
        return { ...head, model, choices, ...(withUsage ? { usage: piece.usage } : {}) }
      })
    }
    const { text, finishReason, usage } = await this.#whole(id, checked, request)
    return {
      ...base,
      object: 'chat.completion',
      model: this.#port.modelName(),
      choices: [{ index: 0, message: { role: 'assistant', content: text }, finish_reason: finishReason }],
      usage,
    }
  }

  async completion(request: CompletionRequest): Promise<AsyncIterable<CompletionChunk> | Completion> {
    const checked = checkRequest(request, { kind: 'completion', prompt: request.prompt })
    const id = this.#port.nextId()
    const base = {
      id: `cmpl-${id}`,
      object: 'text_completion' as const,
      created: Math.floor(Date.now() / 1000),
    }
    if (request.stream === true) {
      const withUsage = request.stream_options?.include_usage === true
      return this.#chunks(id, checked, request, (piece) => {
        const model = this.#port.modelName()
        if ('text' in piece)
          return { ...base, model, choices: [{ index: 0, text: piece.text, finish_reason: null }] }
        const choices: CompletionChunk['choices'] = [
          { index: 0, text: '', finish_reason: piece.finishReason },
        ]
        return { ...base, model, choices, ...(withUsage ? { usage: piece.usage } : {}) }
      })
    }
    const { text, finishReason, usage } = await this.#whole(id, checked, request)
    const model = this.#port.modelName()
    return { ...base, model, choices: [{ index: 0, text, finish_reason: finishReason }], usage }
  }

  async #whole(
    id: number,
    checked: TextRequest,
    options: GenerationOptions,
  ): Promise<{ text: string; finishReason: FinishReason; usage: Usage }> {
    let text = ''
    for await (const piece of this.#pieces(id, checked, options)) {
      if ('text' in piece) text += piece.text
      else return { text, ...piece }
    }
    throw abortError(options.signal)
  }

  async *#chunks<Chunk>(
    id: number,
    checked: TextRequest,
    options: GenerationOptions,
    shape: (piece: Piece, isFirst: boolean) => Chunk,
  ): AsyncGenerator<Chunk> {
    let isFirst = true
    for await (const piece of this.#pieces(id, checked, options)) {
      yield shape(piece, isFirst)
      isFirst = false
    }
  }

  /** Leaving the loop cancels the request. */
  async *#pieces(id: number, checked: TextRequest, { signal }: GenerationOptions): AsyncGenerator<Piece> {
    if (signal?.aborted === true) throw abortError(signal)
    const queue: string[] = []
    let wake: () => void = () => undefined
    let outcome: { summary: GenerationSummary } | { error: unknown } | undefined
    this.#receivers.set(id, (text) => {
      queue.push(text)
      wake()
    })
    const abort = (): void => this.#port.abort(id)
    signal?.addEventListener('abort', abort, { once: true })
    const call = this.#port.generate(id, checked).then(
      (summary) => {
        outcome = { summary }
        wake()
      },
      (error: unknown) => {
        outcome = { error }
        wake()
      },
    )
    try {
      for (;;) {
        while (queue.length > 0) yield { text: queue.splice(0).join('') }
        if (outcome !== undefined) break
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
      if ('error' in outcome) throw outcome.error
      yield { finishReason: outcome.summary.finishReason, usage: outcome.summary.usage }
    } finally {
      signal?.removeEventListener('abort', abort)
      this.#receivers.delete(id)
      if (outcome === undefined) {
        abort()
        await call
      }
    }
  }
}

/** Refuses a bad request before the worker is asked. Messages are checked with the chat template. */
function checkRequest(request: ChatRequest | CompletionRequest, input: TextRequest['input']): TextRequest {
  const { seed, stop, maxTokens, temperature, topP, topK, minP, repetitionPenalty } = checkSampling(request)
  const value = input.kind === 'chat' ? input.messages : input.prompt
  if (input.kind === 'chat' ? !Array.isArray(value) : typeof value !== 'string') {
    const name = input.kind === 'chat' ? 'messages' : 'prompt'
    throw new EngineError('bad-request', `The request has no ${name}.`, {
      hint: input.kind === 'chat' ? 'Give messages: [{ role, content }].' : 'Give prompt as a string.',
      details: { option: name },
    })
  }
  return {
    input,
    sampling: { temperature, topP, topK, minP, repetitionPenalty },
    seed,
    stop,
    maxTokens: maxTokens ?? Number.MAX_SAFE_INTEGER,
  }
}
