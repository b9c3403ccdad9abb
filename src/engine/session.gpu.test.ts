import { afterEach, describe, expect, it, vi } from 'vitest'
import { makeFakeServer, SERVER } from '../../test/fixtures/fake-server.ts'
import { makeTinyModel, type TinyModelOptions } from '../../test/fixtures/tiny-model.ts'
import { EngineError } from './errors.ts'
import type { TextRequest } from './generation.ts'
import type { LoadProgress, TokenEvent } from './protocol.ts'
import { Session } from './session.ts'
import type { SessionOptions, WorkerEvent } from './session-api.ts'
import { ModelStore } from './store/model-store.ts'

const GREEDY = { temperature: 0, topP: 1, topK: 0, minP: 0, repetitionPenalty: 1 }
let nextId = 1
const open: Session[] = []

afterEach(async () => {
  vi.unstubAllGlobals()
  for (const session of open.splice(0)) await session.close()
})

async function openSession(options: Partial<SessionOptions> = {}) {
  const session = new Session()
  open.push(session)
  const events: WorkerEvent[] = []
  await session.open({ catalog: [], minimalDevice: false, ...options }, (batch) => events.push(...batch))
  return {
    session,
    events,
    tokens: () => events.flatMap((event): TokenEvent[] => (event.type === 'token' ? [event.event] : [])),
    text: () => events.flatMap((event) => (event.type === 'text' ? [event.text] : [])).join(''),
  }
}

async function openTiny(options: TinyModelOptions = {}, sessionOptions: Partial<SessionOptions> = {}) {
  const opened = await openSession(sessionOptions)
  const { files } = makeTinyModel(options)
  const model = await opened.session.load(nextId++, { files, id: `session-${options.seed ?? 1}` }, undefined)
  return { ...opened, model }
}

const completion = (
  prompt: string,
  maxTokens = 6,
  sampling: Partial<TextRequest['sampling']> = {},
): TextRequest => ({
  input: { kind: 'completion', prompt },
  sampling: { ...GREEDY, ...sampling },
  seed: 5,
  maxTokens,
  stop: [],
})

async function failure(work: Promise<unknown>): Promise<EngineError> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(EngineError)
  return error as EngineError
}

/** Resolves when the session has emitted `count` token events. */
async function tokensSeen(tokens: () => TokenEvent[], count: number): Promise<void> {
  await vi.waitFor(() => expect(tokens().length).toBeGreaterThanOrEqual(count), {
    timeout: 30_000,
    interval: 2,
  })
}

describe('a session with a tiny model', () => {
  it('streams text, and routing for every token that was read', async () => {
    const { session, tokens, text } = await openTiny()
    const { finishReason, usage } = await session.generate(nextId++, completion('the ring', 6))
    const events = tokens()
    const prompt = events.filter(({ phase }) => phase === 'prefill')
    const made = events.filter(({ phase }) => phase === 'decode')
    expect(finishReason).toBe(made.at(-1)?.text === '' ? 'stop' : 'length')
    expect(prompt.length).toBe(usage.prompt_tokens)
    expect(made.length).toBe(usage.completion_tokens)
    expect(events.map(({ index }) => index)).toEqual(events.map((_, index) => index))
    // The last token was drawn but never read.
    expect(made.at(-1)?.experts.length).toBe(0)
    for (const event of events.slice(0, -1)) {
      expect(event.experts.length).toBe(2 * 2)
      expect(event.weights[0] as number).toBeGreaterThanOrEqual(event.weights[1] as number)
      expect((event.weights[0] as number) + (event.weights[1] as number)).toBeCloseTo(1, 5)
    }
    expect(text().length).toBeGreaterThan(0)
    expect(usage.decode_tokens_per_second).toBeGreaterThan(0)
    expect(session.stats().readbacksPerToken).toBe(1)
  })

  it('repeats itself with the same seed and differs with another', async () => {
    const { session, text, events } = await openTiny()
    const run = async (seed: number): Promise<string> => {
      events.length = 0
      await session.generate(nextId++, { ...completion('one', 12, { temperature: 1.5 }), seed })
      return text()
    }
    const first = await run(1)
    expect(await run(1)).toBe(first)
    expect([await run(2), await run(3), await run(4)].some((other) => other !== first)).toBe(true)
  })

  it('reuses the cache of the longest common prefix and gives the same answer', async () => {
    const { session, text, events } = await openTiny()
    await session.generate(nextId++, completion('the ring of the', 4))
    events.length = 0
    const again = await session.generate(nextId++, completion('the ring of the sea', 4))
    expect(again.usage.cached_tokens).toBeGreaterThan(5)
    const answer = text()
    events.length = 0
    await session.load(nextId++, 'session-1', undefined)
    const fresh = await session.generate(nextId++, completion('the ring of the sea', 4))
    expect(fresh.usage.cached_tokens).toBe(0)
    expect(text()).toBe(answer)
  })

  it('ends with abort when told to, and answers the next request', async () => {
    const { session, tokens } = await openTiny()
    const id = nextId++
    const running = session.generate(id, completion('the', 200))
    await tokensSeen(tokens, 4)
    session.abort(id)
    expect((await running).finishReason).toBe('abort')
    expect((await session.generate(nextId++, completion('the', 2))).usage.completion_tokens).toBeGreaterThan(
      0,
    )
  })

  it('ends a request that waits for its turn with abort, too', async () => {
    const { session } = await openTiny()
    const first = session.generate(nextId++, completion('the', 20))
    const id = nextId++
    const second = session.generate(id, completion('the', 20))
    session.abort(id)
    expect((await second).finishReason).toBe('abort')
    expect((await first).finishReason).not.toBe('abort')
  })

  it('ends a generation with not-loaded on unload and on a second load', async () => {
    const { session, tokens, events } = await openTiny()
    const first = failure(session.generate(nextId++, completion('the', 200)))
    await tokensSeen(tokens, 4)
    await session.unload()
    expect((await first).code).toBe('not-loaded')
    expect(session.stats().memory.gpuBytes).toBe(0)
    expect((await failure(session.generate(nextId++, completion('the', 2)))).code).toBe('not-loaded')
    await session.load(nextId++, 'session-1', undefined)
    events.length = 0
    const second = failure(session.generate(nextId++, completion('the', 200)))
    await tokensSeen(tokens, 4)
    const other = makeTinyModel({ seed: 2, layers: 3 })
    const model = await session.load(nextId++, { files: other.files, id: 'session-2' }, undefined)
    expect((await second).code).toBe('not-loaded')
    expect(model.layers).toBe(3)
    expect((await session.generate(nextId++, completion('the', 2))).usage.completion_tokens).toBeGreaterThan(
      0,
    )
  })

  it('reports a lost device and comes back with the next request', async () => {
    const { session, tokens, events } = await openTiny()
    const running = failure(session.generate(nextId++, completion('the', 200)))
    await tokensSeen(tokens, 4)
    session.gpu?.device.destroy()
    const error = await running
    expect(error.code).toBe('device-lost')
    expect(error.hint.length).toBeGreaterThan(0)
    await vi.waitFor(() => expect(events.some(({ type }) => type === 'device-lost')).toBe(true))
    expect(session.stats().memory.gpuBytes).toBe(0)
    expect((await session.generate(nextId++, completion('the', 2))).usage.completion_tokens).toBeGreaterThan(
      0,
    )
  })

  it('refuses a prompt that does not fit with both numbers, and ends with length at the context', async () => {
    const { session } = await openTiny({}, { contextTokens: 24 })
    const error = await failure(session.generate(nextId++, completion('0123456789'.repeat(4))))
    expect(error.code).toBe('bad-request')
    expect(error.details).toMatchObject({ promptTokens: 40, contextTokens: 24 })
    const { finishReason, usage } = await session.generate(
      nextId++,
      completion('34567', 1000, { temperature: 2 }),
    )
    expect(finishReason).toBe('length')
    expect(usage.total_tokens).toBe(25)
  })

  it('stops at a stop string without showing it', async () => {
    const { session, text, events } = await openTiny()
    await session.generate(nextId++, completion('the ring', 8))
    const whole = text()
    const stop = whole.slice(3, 5)
    events.length = 0
    const { finishReason } = await session.generate(nextId++, { ...completion('the ring', 8), stop: [stop] })
    expect(finishReason).toBe('stop')
    expect(text()).toBe(whole.slice(0, whole.indexOf(stop)))
  })

  it('answers queued requests in their order', async () => {
    const { session } = await openTiny()
    const order: number[] = []
    const ask = (name: number) =>
      session.generate(nextId++, completion('the', 2)).then(() => order.push(name))
    await Promise.all([ask(1), ask(2), ask(3)])
    expect(order).toEqual([1, 2, 3])
  })

  it('names the floor below which a budget cannot go, and keeps running', async () => {
    const { session } = await openTiny()
    const error = await failure(session.setBudgets({ gpuBudgetBytes: 1000 }))
    expect(error.code).toBe('limit-too-small')
    const floorBytes = error.details['floorBytes'] as number
    const { gpuBytes } = session.stats().memory
    expect(floorBytes).toBeGreaterThanOrEqual(gpuBytes)
    await session.setBudgets({ gpuBudgetBytes: floorBytes })
    await session.load(nextId++, 'session-1', undefined)
    await session.generate(nextId++, completion('the', 2))
    expect(session.stats().memory.gpuBytes).toBeLessThanOrEqual(floorBytes)
    const small = await openSession({ gpuBudgetBytes: floorBytes - 1 })
    expect((await failure(small.session.load(nextId++, 'session-1', undefined))).code).toBe('limit-too-small')
    expect(small.session.stats().memory.gpuBytes).toBe(0)
  })

  it('does not grow over many tokens', async () => {
    const { session } = await openTiny()
    await session.generate(nextId++, completion('a', 4))
    const before = session.stats().memory
    await session.generate(nextId++, completion('b', 60, { temperature: 1 }))
    expect(session.stats().memory).toEqual(before)
  })
})

describe('loading', () => {
  it('refuses an id that nobody knows, and a context beyond the model’s', async () => {
    const { session } = await openTiny()
    expect((await failure(session.load(nextId++, 'nobody', undefined))).code).toBe('bad-request')
    const error = await failure(session.load(nextId++, 'session-1', 100_000))
    expect(error.details).toMatchObject({ contextTokens: 100_000, maximum: 256 })
  })

  it('keeps the loaded model when another cannot be imported', async () => {
    const { session } = await openTiny()
    const broken = new File([new Uint8Array(64)], 'broken.gguf')
    expect((await failure(session.load(nextId++, { files: [broken] }, undefined))).code).toBe('model-format')
    expect((await session.generate(nextId++, completion('the', 2))).usage.completion_tokens).toBeGreaterThan(
      0,
    )
  })

  it('opens a catalog entry by its id, reports every stage, and needs no network the second time', async () => {
    const { files } = makeTinyModel({ seed: 3 })
    const server = await makeFakeServer(files)
    vi.stubGlobal('fetch', server.fetch)
    const catalog = [{ id: 'from-catalog', urls: [`${SERVER}${files[0]?.name}`] }]
    const { session, events } = await openSession({ catalog })
    await session.load(nextId++, 'from-catalog', undefined)
    const progress = events.flatMap((event): LoadProgress[] =>
      event.type === 'progress' ? [event.progress] : [],
    )
    expect([...new Set(progress.map(({ stage }) => stage))].sort()).toEqual(
      ['compile', 'download', 'store', 'upload', 'warmup'].sort(),
    )
    const shares = progress.map(({ doneShare }) => doneShare)
    expect(shares).toEqual([...shares].sort((a, b) => a - b))
    const requests = server.log.length
    await session.load(nextId++, 'from-catalog', undefined)
    expect(server.log.length).toBe(requests)
  })

  it('mends a damaged record from its address, and names it when there is none', async () => {
    const { files } = makeTinyModel({ seed: 4 })
    const server = await makeFakeServer(files)
    vi.stubGlobal('fetch', server.fetch)
    const { session } = await openSession()
    await session.load(nextId++, { url: `${SERVER}${files[0]?.name}`, id: 'mended' }, undefined)
    await session.unload()
    await damage('mended')
    expect((await session.verifyModel('mended')).damaged).toEqual(['resident/layer-1/0'])
    await session.load(nextId++, 'mended', undefined)
    expect((await session.verifyModel('mended')).damaged).toEqual([])
    await session.load(nextId++, { files, id: 'from-file' }, undefined)
    await session.unload()
    await damage('from-file')
    const error = await failure(session.load(nextId++, 'from-file', undefined))
    expect(error.code).toBe('model-corrupt')
    expect(error.details['record']).toBe('resident/layer-1/0')
    expect(session.stats().memory.gpuBytes).toBe(0)
  })

  it('refuses a tokenizer it cannot run before any weight is fetched', async () => {
    const { files } = makeTinyModel({
      seed: 8,
      edit: ({ metadata }) => metadata.set('tokenizer.ggml.pre', ['string', 'mystery']),
    })
    const { session } = await openSession()
    const error = await failure(session.load(nextId++, { files, id: 'mystery' }, undefined))
    expect(error.code).toBe('model-unsupported')
    expect(error.message).toContain('mystery')
    expect((await session.listModels()).map(({ id }) => id)).not.toContain('mystery')
  })

  it('can be aborted in every stage and leaves nothing half-visible', async () => {
    const { files } = makeTinyModel({ seed: 6 })
    for (const stage of ['download', 'upload', 'compile']) {
      const { session, events } = await openSession()
      const id = nextId++
      const loading = session.load(id, { files, id: 'aborted' }, undefined)
      const settled = loading.then(
        () => 'loaded',
        (error: unknown) => (error as Error).name,
      )
      await vi.waitFor(
        () =>
          expect(events.some((event) => event.type === 'progress' && event.progress.stage === stage)).toBe(
            true,
          ),
        { timeout: 30_000, interval: 1 },
      )
      session.abort(id)
      expect(await settled).toBe('AbortError')
      expect(session.stats().memory.gpuBytes).toBe(0)
      const ids = (await session.listModels()).map((model) => model.id)
      expect(ids.includes('aborted')).toBe(stage !== 'download')
    }
  })

  it('lets two tabs import and load the same model at once', async () => {
    const { files } = makeTinyModel({ seed: 7 })
    const both = await Promise.all([openSession(), openSession()])
    const models = await Promise.all(
      both.map(({ session }) => session.load(nextId++, { files, id: 'shared' }, undefined)),
    )
    expect(models.map(({ id }) => id)).toEqual(['shared', 'shared'])
    expect((await failure(both[0].session.deleteModel('shared'))).code).toBe('busy')
    await both[1].session.unload()
    await both[0].session.deleteModel('shared')
    expect((await both[1].session.listModels()).map(({ id }) => id)).not.toContain('shared')
  })

  it('rejects everything after close', async () => {
    const { session } = await openTiny()
    await session.close()
    expect((await failure(session.generate(nextId++, completion('the', 2)))).code).toBe('not-loaded')
    expect((await failure(session.load(nextId++, 'session-1', undefined))).code).toBe('not-loaded')
  })
})

/** Flips a byte of layer 1's record of a stored model. */
async function damage(id: string): Promise<void> {
  const records = new ModelStore().records(id)
  const key = 'resident/layer-1/0'
  const [blob] = await records.getMany([key])
  const bytes = new Uint8Array(await (blob as Blob).arrayBuffer())
  bytes[100] = (bytes[100] ?? 0) ^ 1
  await records.setMany([[key, new Blob([bytes])]])
}
