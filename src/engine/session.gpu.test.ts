import { afterEach, describe, expect, it, vi } from 'vitest'
import { makeTinyModel } from '../../test/fixtures/tiny-model.ts'
import {
  closeSessions,
  completion,
  failure,
  nextId,
  openSession,
  openTiny,
  tokensSeen,
} from '../../test/session-fixture.ts'

afterEach(closeSessions)

describe('a session with a tiny model', () => {
  it('streams text, and routing for every token that was read', async () => {
    const { session, tokens, text } = await openTiny()
    const { finishReason, usage } = await session.generate(nextId(), completion('the ring', 6))
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
      await session.generate(nextId(), { ...completion('one', 12, { temperature: 1.5 }), seed })
      return text()
    }
    const first = await run(1)
    expect(await run(1)).toBe(first)
    expect([await run(2), await run(3), await run(4)].some((other) => other !== first)).toBe(true)
  })

  it('reuses the cache of the longest common prefix and gives the same answer', async () => {
    const { session, text, events } = await openTiny()
    await session.generate(nextId(), completion('the ring of the', 4))
    events.length = 0
    const again = await session.generate(nextId(), completion('the ring of the sea', 4))
    expect(again.usage.cached_tokens).toBeGreaterThan(5)
    const answer = text()
    events.length = 0
    await session.load(nextId(), 'session-1', undefined)
    const fresh = await session.generate(nextId(), completion('the ring of the sea', 4))
    expect(fresh.usage.cached_tokens).toBe(0)
    expect(text()).toBe(answer)
  })

  it('ends with abort when told to, and answers the next request', async () => {
    const { session, tokens } = await openTiny()
    const id = nextId()
    const running = session.generate(id, completion('the', 200))
    await tokensSeen(tokens, 4)
    session.abort(id)
    expect((await running).finishReason).toBe('abort')
    expect((await session.generate(nextId(), completion('the', 2))).usage.completion_tokens).toBeGreaterThan(
      0,
    )
  })

  it('ends a request that waits for its turn with abort, too', async () => {
    const { session } = await openTiny()
    const first = session.generate(nextId(), completion('the', 20))
    const id = nextId()
    const second = session.generate(id, completion('the', 20))
    session.abort(id)
    expect((await second).finishReason).toBe('abort')
    expect((await first).finishReason).not.toBe('abort')
  })

  it('ends a generation with not-loaded on unload and on a second load', async () => {
    const { session, tokens, events } = await openTiny()
    const first = failure(session.generate(nextId(), completion('the', 200)))
    await tokensSeen(tokens, 4)
    await session.unload()
    expect((await first).code).toBe('not-loaded')
    expect(session.stats().memory.gpuBytes).toBe(0)
    expect((await failure(session.generate(nextId(), completion('the', 2)))).code).toBe('not-loaded')
    await session.load(nextId(), 'session-1', undefined)
    events.length = 0
    const second = failure(session.generate(nextId(), completion('the', 200)))
    await tokensSeen(tokens, 4)
    const other = makeTinyModel({ seed: 2, layers: 3 })
    const model = await session.load(nextId(), { files: other.files, id: 'session-2' }, undefined)
    expect((await second).code).toBe('not-loaded')
    expect(model.layers).toBe(3)
    expect((await session.generate(nextId(), completion('the', 2))).usage.completion_tokens).toBeGreaterThan(
      0,
    )
  })

  it('reports a lost device and comes back with the next request', async () => {
    const { session, tokens, events } = await openTiny()
    const running = failure(session.generate(nextId(), completion('the', 200)))
    await tokensSeen(tokens, 4)
    session.gpu?.device.destroy()
    const error = await running
    expect(error.code).toBe('device-lost')
    expect(error.hint.length).toBeGreaterThan(0)
    await vi.waitFor(() => expect(events.some(({ type }) => type === 'device-lost')).toBe(true))
    expect(session.stats().memory.gpuBytes).toBe(0)
    expect((await session.generate(nextId(), completion('the', 2))).usage.completion_tokens).toBeGreaterThan(
      0,
    )
  })

  it('refuses a prompt that does not fit with both numbers, and ends with length at the context', async () => {
    const { session } = await openTiny({}, { contextTokens: 24 })
    const error = await failure(session.generate(nextId(), completion('0123456789'.repeat(4))))
    expect(error.code).toBe('bad-request')
    expect(error.details).toMatchObject({ promptTokens: 40, contextTokens: 24 })
    const { finishReason, usage } = await session.generate(
      nextId(),
      completion('34567', 1000, { temperature: 2 }),
    )
    expect(finishReason).toBe('length')
    expect(usage.total_tokens).toBe(25)
  })

  it('stops at a stop string without showing it', async () => {
    const { session, text, events } = await openTiny()
    await session.generate(nextId(), completion('the ring', 8))
    const whole = text()
    const stop = whole.slice(3, 5)
    events.length = 0
    const { finishReason } = await session.generate(nextId(), { ...completion('the ring', 8), stop: [stop] })
    expect(finishReason).toBe('stop')
    expect(text()).toBe(whole.slice(0, whole.indexOf(stop)))
  })

  it('answers queued requests in their order', async () => {
    const { session } = await openTiny()
    const order: number[] = []
    const ask = (name: number) =>
      session.generate(nextId(), completion('the', 2)).then(() => order.push(name))
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
    await session.load(nextId(), 'session-1', undefined)
    await session.generate(nextId(), completion('the', 2))
    // Draws that need every logit read them back; the floor counts that.
    await session.generate(nextId(), completion('the', 20, { temperature: 5 }))
    expect(session.stats().memory.gpuBytes).toBeLessThanOrEqual(floorBytes)
    const small = await openSession({ gpuBudgetBytes: floorBytes - 1 })
    expect((await failure(small.session.load(nextId(), 'session-1', undefined))).code).toBe('limit-too-small')
    expect(small.session.stats().memory.gpuBytes).toBe(0)
  })

  it('does not grow over many tokens', async () => {
    const { session } = await openTiny()
    await session.generate(nextId(), completion('a', 4))
    const before = session.stats().memory
    await session.generate(nextId(), completion('b', 60, { temperature: 1 }))
    expect(session.stats().memory).toEqual(before)
  })
})
