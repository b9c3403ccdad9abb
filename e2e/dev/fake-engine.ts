// The engine's interface without an engine, for states of the page that are hard to reach: `?device=missing`,
// `?device=software`, `?stored`, `?fail=quota`, `?lose`, `?hold`. Never part of a build.
import { EngineError } from '../../src/engine/errors.ts'
import type {
  ChatChunk,
  ChatRequest,
  Engine,
  EngineEvents,
  LoadOptions,
  LoadStage,
  ModelInfo,
} from '../../src/engine/protocol.ts'
import { makeEvent, SHAPE, splitTokens } from './sample-run.ts'

const MODEL: ModelInfo = {
  id: 'smollm2-mpoe-8x135m',
  name: 'SmolLM2-MPOE 8×135M',
  description: '',
  license: 'apache-2.0',
  ...SHAPE,
  vocabularySize: 49152,
  contextTokens: 2048,
  downloadBytes: 110_700_000,
  storedBytes: 112_100_000,
  importedAt: 0,
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

/** Never resolves; rejects when the request is stopped. */
const untilStopped = (signal: AbortSignal | undefined) =>
  new Promise<never>((_, reject) => {
    signal?.throwIfAborted()
    signal?.addEventListener('abort', () => reject(signal.reason), { once: true })
  })

export async function createFakeEngine(query: URLSearchParams): Promise<Engine> {
  await pause(300)
  if (query.get('device') === 'missing') {
    throw new EngineError('webgpu-missing', 'This browser has no WebGPU.', {
      hint: 'Use a current Chrome, Edge, Firefox or Safari, and open the page over https.',
    })
  }
  const listeners = new Map<string, Set<(event: never) => void>>()
  const emit = <Name extends keyof EngineEvents>(name: Name, event: EngineEvents[Name]): void => {
    for (const listener of listeners.get(name) ?? []) (listener as (event: EngineEvents[Name]) => void)(event)
  }
  let stored = query.has('stored') ? [MODEL] : []
  let model: ModelInfo | undefined
  let requestId = 1
  const isSoftware = query.get('device') === 'software'

  async function load(_source: unknown, options: LoadOptions = {}): Promise<ModelInfo> {
    const stages: LoadStage[] = ['download', 'store', 'upload', 'compile', 'warmup']
    const steps = Number(query.get('steps') ?? 12)
    for (let step = 0; step < 5 * steps; step++) {
      options.signal?.throwIfAborted()
      const share = step / (5 * steps)
      options.onProgress?.({
        stage: stages[Math.floor(step / steps)] ?? 'warmup',
        doneBytes: Math.round(share * 110.7e6),
        totalBytes: 110_700_000,
        bytesPerSecond: 14.2e6,
        doneShare: share,
      })
      if (query.get('fail') === 'quota' && step === 8) {
        throw new EngineError(
          'storage-quota',
          'The model needs 112 MB; the browser allows 38 MB more here.',
          {
            hint: 'Delete other models or free disk space, then load again.',
            details: { neededBytes: 112_000_000, availableBytes: 38_000_000 },
          },
        )
      }
      await pause(60)
    }
    model = MODEL
    stored = [MODEL]
    emit('model', { model })
    return MODEL
  }

  async function* stream(request: ChatRequest): AsyncGenerator<ChatChunk> {
    requestId++
    const turns = request.messages.map(({ role, content }) => `<|im_start|>${role}\n${content}<|im_end|>\n`)
    const prompt = splitTokens(`${turns.join('')}<|im_start|>assistant\n`)
    const answer = splitTokens(
      'The river Seine flows through Paris. Its banks have been lined with quays since 1312, and its bridges carry the names of kings, of battles and of saints.<|im_end|>',
    ).slice(0, request.max_tokens)
    const send = (index: number, text: string, phase: 'prefill' | 'decode', isRead = true) =>
      emit('token', { ...makeEvent(index, text, phase, isRead), requestId })
    const chunk = (content: string, finish: 'stop' | null = null): ChatChunk => ({
      id: `chat-${requestId}`,
      object: 'chat.completion.chunk',
      created: 0,
      model: MODEL.id,
      choices: [{ index: 0, delta: { content }, finish_reason: finish }],
    })
    await pause(400)
    for (const [index, text] of prompt.entries()) {
      send(index, text, 'prefill')
      // A worker delivers events in batches, one message a frame.
      if (index % 64 === 63) await pause(10)
    }
    if (query.has('hold')) await untilStopped(request.signal)
    for (const [index, text] of answer.entries()) {
      await pause(90)
      request.signal?.throwIfAborted()
      if (query.has('lose') && index === 6) {
        emit('device-lost', { message: 'The driver was reset.' })
        throw new EngineError('device-lost', 'The graphics device was lost after 6 tokens.', {
          hint: 'Start again; the stored model is loaded anew.',
        })
      }
      send(prompt.length + index, text, 'decode', index < answer.length - 1)
      if (!text.startsWith('<|')) yield chunk(text)
    }
    yield chunk('', 'stop')
    yield {
      ...chunk(''),
      choices: [],
      usage: {
        prompt_tokens: prompt.length,
        completion_tokens: answer.length,
        total_tokens: prompt.length + answer.length,
        cached_tokens: 24,
        prefill_tokens_per_second: 21.3,
        decode_tokens_per_second: 11.1,
        time_to_first_token_ms: 1920,
        bytes_read: 0,
        hits: 0,
        faults: 0,
        stall_ms: 0,
        low_share: 0,
      },
    }
  }

  const engine = {
    device: {
      vendor: isSoftware ? 'google' : 'nvidia',
      architecture: isSoftware ? 'swiftshader' : 'ada-lovelace',
      description: '',
      isFallback: isSoftware,
      features: [],
      limits: {},
    },
    get model() {
      return model
    },
    load,
    unload: async () => {
      model = undefined
      emit('model', { model })
    },
    close: async () => undefined,
    setBudgets: async () => undefined,
    stats: () => Promise.reject(new Error('no stats')),
    on: (name: string, listener: (event: never) => void) => {
      const set = listeners.get(name) ?? new Set()
      listeners.set(name, set.add(listener))
      return () => set.delete(listener)
    },
    chat: { completions: { create: (request: ChatRequest) => Promise.resolve(stream(request)) } },
    completions: { create: () => Promise.reject(new Error('no completions')) },
    models: {
      list: async () => stored,
      import: load,
      delete: async () => {
        stored = []
      },
      verify: async () => ({ damaged: [] }),
      usage: async () => ({ usedBytes: 112e6, quotaBytes: 9.2e9, isPersistent: false, models: [] }),
    },
  }
  return engine as unknown as Engine
}
