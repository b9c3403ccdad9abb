import { afterEach, describe, expect, it, vi } from 'vitest'
import { makeFakeServer, SERVER } from '../../test/fixtures/fake-server.ts'
import { makeTinyModel } from '../../test/fixtures/tiny-model.ts'
import {
  closeSessions,
  completion,
  failure,
  nextId,
  openSession,
  openTiny,
} from '../../test/session-fixture.ts'
import type { LoadProgress } from './protocol.ts'
import { ModelStore } from './store/model-store.ts'

afterEach(closeSessions)

describe('loading', () => {
  it('refuses an id that nobody knows, and a context beyond the model’s', async () => {
    const { session } = await openTiny()
    expect((await failure(session.load(nextId(), 'nobody', undefined))).code).toBe('bad-request')
    const error = await failure(session.load(nextId(), 'session-1', 100_000))
    expect(error.details).toMatchObject({ contextTokens: 100_000, maximum: 256 })
    // A refusal costs nothing: the model that was there still is.
    expect(session.stats().memory.gpuBytes).toBeGreaterThan(0)
  })

  it('keeps the loaded model when another cannot be imported', async () => {
    const { session } = await openTiny()
    const broken = new File([new Uint8Array(64)], 'broken.gguf')
    expect((await failure(session.load(nextId(), { files: [broken] }, undefined))).code).toBe('model-format')
    expect((await session.generate(nextId(), completion('the', 2))).usage.completion_tokens).toBeGreaterThan(
      0,
    )
  })

  it('opens a catalog entry by its id, reports every stage, and needs no network the second time', async () => {
    const { files } = makeTinyModel({ seed: 3 })
    const server = await makeFakeServer(files)
    vi.stubGlobal('fetch', server.fetch)
    const catalog = [{ id: 'from-catalog', urls: [`${SERVER}${files[0]?.name}`] }]
    const { session, events } = await openSession({ catalog })
    await session.load(nextId(), 'from-catalog', undefined)
    const progress = events.flatMap((event): LoadProgress[] =>
      event.type === 'progress' ? [event.progress] : [],
    )
    expect([...new Set(progress.map(({ stage }) => stage))].sort()).toEqual(
      ['compile', 'download', 'store', 'upload', 'warmup'].sort(),
    )
    const shares = progress.map(({ doneShare }) => doneShare)
    expect(shares).toEqual([...shares].sort((a, b) => a - b))
    const requests = server.log.length
    await session.load(nextId(), 'from-catalog', undefined)
    expect(server.log.length).toBe(requests)
  })

  it('mends a damaged record from its address, and names it when there is none', async () => {
    const { files } = makeTinyModel({ seed: 4 })
    const server = await makeFakeServer(files)
    vi.stubGlobal('fetch', server.fetch)
    const { session } = await openSession()
    await session.load(nextId(), { url: `${SERVER}${files[0]?.name}`, id: 'mended' }, undefined)
    await session.unload()
    await damage('mended')
    expect((await session.verifyModel('mended')).damaged).toEqual(['resident/layer-1/0'])
    await session.load(nextId(), 'mended', undefined)
    expect((await session.verifyModel('mended')).damaged).toEqual([])
    await session.load(nextId(), { files, id: 'from-file' }, undefined)
    await session.unload()
    await damage('from-file')
    const error = await failure(session.load(nextId(), 'from-file', undefined))
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
    const error = await failure(session.load(nextId(), { files, id: 'mystery' }, undefined))
    expect(error.code).toBe('model-unsupported')
    expect(error.message).toContain('mystery')
    expect((await session.listModels()).map(({ id }) => id)).not.toContain('mystery')
  })

  it('can be aborted in every stage and leaves nothing half-visible', async () => {
    const { files } = makeTinyModel({ seed: 6 })
    for (const stage of ['download', 'upload', 'compile']) {
      const { session, events } = await openSession()
      const id = nextId()
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
      both.map(({ session }) => session.load(nextId(), { files, id: 'shared' }, undefined)),
    )
    expect(models.map(({ id }) => id)).toEqual(['shared', 'shared'])
    expect((await failure(both[0].session.deleteModel('shared'))).code).toBe('busy')
    expect(both[0].session.stats().memory.gpuBytes).toBeGreaterThan(0)
    await both[1].session.unload()
    await both[0].session.deleteModel('shared')
    expect((await both[1].session.listModels()).map(({ id }) => id)).not.toContain('shared')
  })

  it('holds to a budget that was set while it loaded', async () => {
    const { files } = makeTinyModel({ seed: 9 })
    const { session, events } = await openSession()
    const loading = failure(session.load(nextId(), { files, id: 'bounded' }, undefined))
    const isLoading = () => events.some((event) => event.type === 'progress')
    await vi.waitFor(() => expect(isLoading()).toBe(true), { timeout: 30_000, interval: 1 })
    await session.setBudgets({ gpuBudgetBytes: 1000 })
    expect((await loading).code).toBe('limit-too-small')
    expect(session.stats().memory.gpuBytes).toBe(0)
  })

  it('mends a damaged tokenizer record from its address', async () => {
    const { files } = makeTinyModel({ seed: 10 })
    vi.stubGlobal('fetch', (await makeFakeServer(files)).fetch)
    const { session } = await openSession()
    await session.load(nextId(), { url: `${SERVER}${files[0]?.name}`, id: 'text' }, undefined)
    await session.unload()
    await damage('text', 'tokenizer')
    await session.load(nextId(), 'text', undefined)
    expect((await session.verifyModel('text')).damaged).toEqual([])
  })

  it('rejects everything after close', async () => {
    const { session } = await openTiny()
    await session.close()
    expect((await failure(session.generate(nextId(), completion('the', 2)))).code).toBe('not-loaded')
    expect((await failure(session.load(nextId(), 'session-1', undefined))).code).toBe('not-loaded')
  })
})

/** Flips a byte of a record of a stored model. */
async function damage(id: string, key = 'resident/layer-1/0'): Promise<void> {
  const records = new ModelStore().records(id)
  const [blob] = await records.getMany([key])
  const bytes = new Uint8Array(await (blob as Blob).arrayBuffer())
  bytes[100] = (bytes[100] ?? 0) ^ 1
  await records.setMany([[key, new Blob([bytes])]])
}
