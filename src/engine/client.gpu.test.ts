import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeTinyModel } from '../../test/fixtures/tiny-model.ts'
import { createEngine, engineInternals } from './client.ts'
import { EngineError, type ErrorCode } from './errors.ts'
import type { Engine, TokenEvent } from './protocol.ts'

const MESSAGES = [{ role: 'user' as const, content: 'the ring' }]
let engine: Engine

beforeAll(async () => {
  engine = await createEngine()
  await engine.load({ files: makeTinyModel({ seed: 21 }).files, id: 'client' })
})
afterAll(() => engine.close())

async function codeOf(work: Promise<unknown>): Promise<ErrorCode | undefined> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(EngineError)
  return (error as EngineError).code
}

describe('an engine in its worker', () => {
  it('tells the device and the model', () => {
    expect(engine.device.limits['maxStorageBufferBindingSize']).toBeGreaterThan(0)
    expect(engine.model).toMatchObject({ id: 'client', layers: 2, experts: 4, topK: 2 })
  })

  it('gives the same chat whole and in chunks', async () => {
    const request = { messages: MESSAGES, temperature: 0, max_tokens: 8 }
    const whole = await engine.chat.completions.create(request)
    const stream = await engine.chat.completions.create({
      ...request,
      stream: true,
      stream_options: { include_usage: true },
    })
    let text = ''
    let last: { finish_reason: string | null } | undefined
    let usage: unknown
    for await (const chunk of stream) {
      expect(chunk.object).toBe('chat.completion.chunk')
      text += chunk.choices[0]?.delta.content ?? ''
      last = chunk.choices[0]
      usage = chunk.usage ?? usage
    }
    expect(text).toBe(whole.choices[0]?.message.content)
    expect(last?.finish_reason).toBe(whole.choices[0]?.finish_reason)
    expect(usage).toMatchObject({ prompt_tokens: whole.usage.prompt_tokens })
  })

  it('delivers every token event before the request ends, and none after its listener is gone', async () => {
    const events: TokenEvent[] = []
    const stop = engine.on('token', (event) => events.push(event))
    const { usage } = await engine.completions.create({ prompt: 'one two', temperature: 0, max_tokens: 5 })
    expect(events.length).toBe(usage.total_tokens - usage.cached_tokens)
    stop()
    await engine.completions.create({ prompt: 'three', temperature: 0, max_tokens: 2 })
    expect(events.length).toBe(usage.total_tokens - usage.cached_tokens)
  })

  it('stops when the loop is left, and when its signal aborts', async () => {
    const request = { prompt: 'the', temperature: 1, max_tokens: 230, stream: true as const }
    for await (const _ of await engine.completions.create(request)) break
    // Without `await` as well.
    for await (const _ of engine.completions.create(request)) break
    const controller = new AbortController()
    const stream = await engine.completions.create({ ...request, signal: controller.signal })
    let reason: string | null = null
    for await (const chunk of stream) {
      controller.abort()
      reason = chunk.choices[0]?.finish_reason ?? reason
    }
    expect(reason).toBe('abort')
    await expect(engine.completions.create({ prompt: 'x', signal: controller.signal })).rejects.toMatchObject(
      {
        name: 'AbortError',
      },
    )
  })

  it('loads although the listener for progress throws, and reports what it threw', async () => {
    const seen: string[] = []
    const keep = (event: ErrorEvent): void => {
      seen.push(event.message)
      event.preventDefault()
    }
    addEventListener('error', keep)
    const onProgress = (): never => {
      throw new Error('a listener of the page')
    }
    const model = await engine
      .load('client', { onProgress })
      .finally(() => removeEventListener('error', keep))
    expect(model.id).toBe('client')
    expect(engine.model?.id).toBe('client')
    expect(seen.some((message) => message.includes('a listener of the page'))).toBe(true)
  })

  it('refuses what it cannot do with a code, here and in the worker', async () => {
    const unknownOption = { prompt: 'x', frequency_penalty: 1 } as unknown as { prompt: string }
    expect(await codeOf(engine.completions.create(unknownOption))).toBe('bad-request')
    expect(await codeOf(engine.completions.create({ prompt: 'x', top_p: 3 }))).toBe('bad-request')
    const badRole = [{ role: 'wizard', content: 'x' }] as unknown as typeof MESSAGES
    expect(await codeOf(engine.chat.completions.create({ messages: badRole }))).toBe('bad-request')
    expect(await codeOf(engine.load('nobody'))).toBe('bad-request')
    expect(await codeOf(engineInternals(engine).measure('nothing'))).toBe('bad-request')
    expect(await codeOf(engine.setBudgets({ gpuBudgetBytes: 1 }))).toBe('limit-too-small')
  })

  it('comes back after the device was lost', async () => {
    const lost = new Promise<string>((resolve) => {
      engine.on('device-lost', ({ message }) => resolve(message))
    })
    await engineInternals(engine)
      .measure('lose-device')
      .catch(() => undefined)
    expect(await lost).toContain('lost')
    const { usage } = await engine.completions.create({ prompt: 'one', temperature: 0, max_tokens: 2 })
    expect(usage.completion_tokens).toBeGreaterThan(0)
  })

  it('measures perplexity with progress', async () => {
    const shares: number[] = []
    const options = { text: 'the ring of the sea '.repeat(20), tokens: 64, windowTokens: 32 }
    const score = await engineInternals(engine).measure('perplexity', options, (share) => shares.push(share))
    expect(score).toMatchObject({ windows: 2, tokens: 64 })
    expect(shares).toEqual([0.5, 1])
  })

  it('rejects with not-loaded after close, and closes twice without a word', async () => {
    const other = await createEngine()
    await other.close()
    await other.close()
    expect(await codeOf(other.models.list())).toBe('not-loaded')
    expect(await codeOf(other.completions.create({ prompt: 'x' }))).toBe('not-loaded')
  })
})
