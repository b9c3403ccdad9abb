// The token loop of one request: prompt → prefill → draw, read, draw, … with text and routing as they come.
import { EngineError } from './errors.ts'
import type { StepResult } from './model/step-result.ts'
import type { OpenModel } from './open-model.ts'
import { commonPrefix, encodePrompt } from './prompt.ts'
import type { ChatMessage, FinishReason, TokenEvent, Usage } from './protocol.ts'
import { collectCandidates } from './sample/candidates.ts'
import { createRng, type Rng } from './sample/rng.ts'
import { type SampledToken, type SamplingOptions, sampleFromLogits, sampleToken } from './sample/sampler.ts'
import { createStopMatcher } from './sample/stop-strings.ts'

/** A checked request as the worker runs it. */
export interface TextRequest {
  input: { kind: 'chat'; messages: ChatMessage[] } | { kind: 'completion'; prompt: string }
  sampling: SamplingOptions
  seed: number
  maxTokens: number
  stop: readonly string[]
}

export interface GenerationSink {
  text(text: string): void
  token(event: TokenEvent): void
}

export interface GenerationContext {
  model: OpenModel
  /** Token ids whose KV is in the cache; kept by the session, changed here. */
  cache: number[]
  requestId: number
  signal: AbortSignal
  chunkTokens: (lastMs: number | undefined, lastCount: number) => number
  sink: GenerationSink
}

/**
 * Runs one request to its end.
 * @throws EngineError `bad-request` when the prompt does not fit, `device-lost`; `AbortError` never: an abort
 * ends with `finish_reason` abort
 */
export async function generate(
  request: TextRequest,
  context: GenerationContext,
): Promise<{ finishReason: FinishReason; usage: Usage }> {
  const prompt = await encodePrompt(request, context.model)
  return new Generation(request, context, prompt).run()
}

class Generation {
  readonly #request: TextRequest
  readonly #context: GenerationContext
  readonly #prompt: readonly number[]
  readonly #rng: Rng
  readonly #seen: Set<number>
  readonly #seenBits: Uint32Array<ArrayBuffer>
  readonly #start = performance.now()
  #firstTokenMs = 0
  #prefillMs = 0
  #decodeMs = 0
  #decodeSteps = 0
  #completionTokens = 0
  #cachedTokens = 0

  constructor(request: TextRequest, context: GenerationContext, prompt: readonly number[]) {
    this.#request = request
    this.#context = context
    this.#prompt = prompt
    this.#rng = createRng(request.seed)
    this.#seen = new Set(prompt)
    this.#seenBits = new Uint32Array(Math.ceil(context.model.manifest.blueprint.vocabularySize / 32))
  }

  async run(): Promise<{ finishReason: FinishReason; usage: Usage }> {
    let finishReason: FinishReason = 'abort'
    try {
      const result = await this.#readPrompt()
      finishReason = await this.#decode(result)
    } catch (error) {
      // An abort is the person's wish, not a failure; an abort for another reason carries its error.
      const { signal } = this.#context
      if (!signal.aborted || error !== signal.reason || signal.reason instanceof EngineError) throw error
    }
    return { finishReason, usage: this.#usage() }
  }

  async #readPrompt(): Promise<StepResult> {
    const { model, cache, signal, chunkTokens } = this.#context
    const { runner } = model
    this.#cachedTokens = commonPrefix(cache, this.#prompt)
    cache.length = this.#cachedTokens
    this.#writeSeen(this.#prompt)
    const sampling = this.#samplingState()
    const rest = this.#prompt.slice(this.#cachedTokens)
    let last: StepResult | undefined
    for await (const chunk of runner.prefill(rest, this.#cachedTokens, { chunkTokens, sampling, signal })) {
      this.#prefillMs += chunk.ms
      const read = rest.slice(chunk.first, chunk.first + chunk.count)
      const position = this.#cachedTokens + chunk.first
      for (const [offset, id] of read.entries()) {
        this.#emit(
          position + offset,
          id,
          'prefill',
          chunk.ms / chunk.count,
          null,
          routesOf(chunk, offset, read.length, model),
        )
      }
      cache.push(...read)
      last = chunk
    }
    signal.throwIfAborted()
    return last as StepResult
  }

  async #decode(prefilled: StepResult): Promise<FinishReason> {
    const { model, cache, signal, sink } = this.#context
    const { tokenizer, runner } = model
    const { maxTokens, stop } = this.#request
    const decoder = tokenizer.streamDecoder({ specials: 'hide' })
    const matcher = createStopMatcher(stop)
    const { contextTokens } = runner.network.state
    let result = prefilled
    for (;;) {
      const drawn = await this.#draw(result)
      if (this.#completionTokens === 0) this.#firstTokenMs = performance.now() - this.#start
      this.#completionTokens++
      const position = cache.length
      if (tokenizer.stopIds.has(drawn.id)) {
        sink.text(matcher.push(decoder.flush()).text + matcher.flush())
        this.#emit(position, drawn.id, 'decode', 0, drawn.logprob, undefined, '')
        return 'stop'
      }
      const matched = matcher.push(decoder.push(drawn.id))
      if (matched.text !== '') sink.text(matched.text)
      const isLast = this.#completionTokens >= maxTokens || position >= contextTokens
      if (matched.isStopped || isLast) {
        if (!matched.isStopped) sink.text(matcher.push(decoder.flush()).text + matcher.flush())
        this.#emit(position, drawn.id, 'decode', 0, drawn.logprob, undefined)
        return matched.isStopped ? 'stop' : 'length'
      }
      signal.throwIfAborted()
      this.#markSeen(drawn.id)
      const start = performance.now()
      result = await runner.step({
        tokens: [drawn.id],
        position,
        logits: 'last',
        sampling: this.#samplingState(),
      })
      const ms = performance.now() - start
      this.#decodeMs += ms
      this.#decodeSteps++
      cache.push(drawn.id)
      this.#emit(position, drawn.id, 'decode', ms, drawn.logprob, routesOf(result, 0, 1, model))
    }
  }

  async #draw(result: StepResult): Promise<SampledToken> {
    const { runner, manifest } = this.#context.model
    const { sampling } = this.#request
    const draw = this.#rng()
    const records = result.chunks as ArrayBuffer
    const candidates = collectCandidates(records, manifest.blueprint.vocabularySize, sampling.temperature)
    const drawn = sampleToken(candidates, sampling, draw, this.#seen)
    if (drawn !== 'need-all-logits') return drawn
    return sampleFromLogits(await runner.readLogits(), sampling, draw, this.#seen)
  }

  #samplingState(): { temperature: number; repetitionPenalty: number } {
    const { temperature, repetitionPenalty } = this.#request.sampling
    return { temperature, repetitionPenalty }
  }

  #writeSeen(ids: readonly number[]): void {
    for (const id of ids) this.#setBit(id)
    this.#context.model.runner.writeSeen(this.#seenBits)
  }

  #markSeen(id: number): void {
    if (this.#seen.has(id)) return
    this.#seen.add(id)
    this.#setBit(id)
    if (this.#request.sampling.repetitionPenalty !== 1) this.#context.model.runner.writeSeen(this.#seenBits)
  }

  #setBit(id: number): void {
    this.#seenBits[id >> 5] = (this.#seenBits[id >> 5] ?? 0) | (1 << (id & 31))
  }

  #emit(
    index: number,
    id: number,
    phase: 'prefill' | 'decode',
    ms: number,
    logprob: number | null,
    routes: { experts: Uint16Array; weights: Float32Array } | undefined,
    text = this.#context.model.tokenizer.tokenText(id),
  ): void {
    const { model, requestId, sink } = this.#context
    const { layers, router } = model.manifest.blueprint
    sink.token({
      requestId,
      index,
      id,
      text,
      phase,
      ms,
      stallMs: 0,
      bytesRead: 0,
      logprob,
      layers,
      topK: router.topK,
      experts: routes?.experts ?? new Uint16Array(0),
      weights: routes?.weights ?? new Float32Array(0),
    })
  }

  #usage(): Usage {
    const prompt = this.#prompt.length
    const read = prompt - this.#cachedTokens
    const { layers, router } = this.#context.model.manifest.blueprint
    return {
      prompt_tokens: prompt,
      completion_tokens: this.#completionTokens,
      total_tokens: prompt + this.#completionTokens,
      cached_tokens: this.#cachedTokens,
      prefill_tokens_per_second: rate(read, this.#prefillMs),
      decode_tokens_per_second: rate(this.#decodeSteps, this.#decodeMs),
      time_to_first_token_ms: this.#firstTokenMs,
      bytes_read: 0,
      hits: (read + this.#decodeSteps) * layers * router.topK,
      faults: 0,
      stall_ms: 0,
      low_share: 0,
    }
  }
}

/** The usage of a request that never began. */
export const NO_USAGE: Usage = {
  prompt_tokens: 0,
  completion_tokens: 0,
  total_tokens: 0,
  cached_tokens: 0,
  prefill_tokens_per_second: 0,
  decode_tokens_per_second: 0,
  time_to_first_token_ms: 0,
  bytes_read: 0,
  hits: 0,
  faults: 0,
  stall_ms: 0,
  low_share: 0,
}

function rate(tokens: number, ms: number): number {
  return ms > 0 ? (tokens * 1000) / ms : 0
}

/** Routing of one token of a step: [layers, topK]. */
function routesOf(
  result: StepResult,
  token: number,
  tokens: number,
  { manifest }: OpenModel,
): { experts: Uint16Array; weights: Float32Array } {
  const { layers, router } = manifest.blueprint
  const experts = new Uint16Array(layers * router.topK)
  const weights = new Float32Array(layers * router.topK)
  for (let layer = 0; layer < layers; layer++) {
    const from = (layer * tokens + token) * router.topK
    experts.set(result.experts.subarray(from, from + router.topK), layer * router.topK)
    weights.set(result.weights.subarray(from, from + router.topK), layer * router.topK)
  }
  return { experts, weights }
}
