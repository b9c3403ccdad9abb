import 'fake-indexeddb/auto'
import { IDBFactory } from 'fake-indexeddb'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { expectSameNumbers } from '../../../test/fixtures/expect-packed.ts'
import { type FakeServer, makeFakeServer, SERVER, sentBytes } from '../../../test/fixtures/fake-server.ts'
import { makeTinyModel } from '../../../test/fixtures/tiny-model.ts'
import type { LoadProgress } from '../protocol.ts'
import { createLocalLocks } from '../store/local-locks.ts'
import { createModelLocks } from '../store/locks.ts'
import type { ModelManifest } from '../store/manifest.ts'
import { ModelStore } from '../store/model-store.ts'
import { type ImportOptions, importModel } from './import-model.ts'

const locks = createLocalLocks()
const makeStore = (freeBytes = 2 ** 40) =>
  new ModelStore({
    locks: createModelLocks(locks),
    storage: { estimate: async () => ({ usage: 0, quota: freeBytes }), persisted: async () => false },
  })

let store: ModelStore

beforeEach(() => {
  vi.stubGlobal('indexedDB', new IDBFactory())
  store = makeStore()
})

afterEach(() => {
  vi.unstubAllGlobals()
  vi.restoreAllMocks()
})

describe('progress', () => {
  it('counts both stages up to all of their bytes', async () => {
    const { files } = makeTinyModel({ shards: 2 })
    const seen: LoadProgress[] = []
    const manifest = await importModel({
      source: { files },
      store,
      onProgress: (progress) => seen.push(progress),
    })
    const last = (stage: string) => seen.filter((progress) => progress.stage === stage).at(-1)
    expect(last('download')).toMatchObject({
      doneBytes: manifest.downloadBytes,
      totalBytes: manifest.downloadBytes,
    })
    expect(last('store')).toMatchObject({
      doneBytes: manifest.storedBytes,
      totalBytes: manifest.storedBytes,
      doneShare: 1,
    })
    const shares = seen.map(({ doneShare }) => doneShare)
    expect(shares).toEqual([...shares].sort((a, b) => a - b))
    expect(seen.every(({ bytesPerSecond }) => bytesPerSecond >= 0 && Number.isFinite(bytesPerSecond))).toBe(
      true,
    )
  })
})

describe('all or nothing', () => {
  const files = makeTinyModel({ shards: 3, layers: 4 }).files
  const urls = [`${SERVER}${files[0]?.name}`]
  let server: FakeServer
  const run = (changes: Partial<ImportOptions> = {}) =>
    importModel({
      source: { urls },
      store,
      network: { fetch: server.fetch, sleep: async () => undefined },
      ...changes,
    })

  beforeEach(async () => {
    server = await makeFakeServer(files)
  })

  /** The headers of this model fit into the first requests, so larger models are needed to see reads. */
  async function bigServer() {
    const big = makeTinyModel({ shards: 3, layers: 24, formats: { attention: 'F32', central: 'F32' } })
    server = await makeFakeServer(big.files)
    return big
  }

  /** Aborts an import at the moment when `stage` is written, and waits until it has let go. */
  async function abortWhile(stage: string): Promise<void> {
    const controller = new AbortController()
    const put = IDBObjectStore.prototype.put
    const spy = vi.spyOn(IDBObjectStore.prototype, 'put').mockImplementation(function (
      this: IDBObjectStore,
      value,
      key,
    ) {
      const name = String(key)
      const isManifest = stage === 'manifest' && this.transaction.db.name === 'switchyard-manifests'
      if (name === `resident/${stage}/0` || name === stage || isManifest) controller.abort()
      return put.call(this, value, key)
    })
    await expect(run({ signal: controller.signal })).rejects.toThrow(
      expect.objectContaining({ name: 'AbortError' }),
    )
    spy.mockRestore()
    await store.locks.whileImporting('tiny-mpoe', async () => undefined)
  }

  it('imports from one address all shards and needs no request the second time', async () => {
    const manifest = await run()
    expect(manifest.origin).toEqual({ kind: 'url', urls: files.map(({ name }) => SERVER + name) })
    const requests = server.log.length
    expect(await run()).toEqual(manifest)
    expect(server.log).toHaveLength(requests)
  })

  it.each(['embedding', 'layer-0', 'layer-2', 'output', 'tokenizer', 'manifest'])(
    'an abort while %s is stored leaves nothing visible and is resumed from there',
    async (stage) => {
      await abortWhile(stage)
      if (stage !== 'manifest') expect(await store.list()).toEqual([])
      const manifest = await run()
      expect(await store.verify(manifest)).toEqual([])
      expect(await store.list()).toEqual([manifest])
      expect(await store.unfinished()).toEqual([])
    },
  )

  it('rejects at once even when a request never answers', async () => {
    const controller = new AbortController()
    let isAsked: () => void = () => undefined
    const asked = new Promise<void>((resolve) => {
      isAsked = resolve
    })
    server.intercept = () => {
      isAsked()
      return new Promise<undefined>(() => undefined)
    }
    const importing = run({ signal: controller.signal })
    await asked
    controller.abort()
    await expect(importing).rejects.toThrow(expect.objectContaining({ name: 'AbortError' }))
    await expect(run({ signal: controller.signal })).rejects.toThrow(
      expect.objectContaining({ name: 'AbortError' }),
    )
  })

  it('a tab closed in the middle goes on without reading finished groups again', async () => {
    const big = await bigServer()
    const source = { urls: big.files.map(({ name }) => SERVER + name) }
    let stored = 0
    const put = IDBObjectStore.prototype.put
    const spy = vi.spyOn(IDBObjectStore.prototype, 'put').mockImplementation(function (
      this: IDBObjectStore,
      value,
      key,
    ) {
      if (String(key).startsWith('resident/') && ++stored > 13)
        throw new DOMException('the tab is gone', 'InvalidStateError')
      return put.call(this, value, key)
    })
    await expect(run({ source })).rejects.toMatchObject({ code: 'storage-missing' })
    spy.mockRestore()
    expect(await store.list()).toEqual([])
    expect(await store.unfinished()).toEqual(['tiny-mpoe'])
    const firstBytes = sentBytes(server.log)
    server.log.length = 0
    const seen: LoadProgress[] = []
    store = makeStore()
    const manifest = await run({ source, onProgress: (progress) => seen.push(progress) })
    const headerBytes = 3 * 128 * 1024
    const wholeBytes = big.files.reduce((sum, file) => sum + file.size, 0)
    expect(firstBytes).toBeGreaterThan(wholeBytes / 3)
    expect(sentBytes(server.log)).toBeLessThan(wholeBytes * 0.55 + headerBytes)
    const layerBytes = manifest.groups[1]?.bytes ?? 0
    expect(seen.find(({ stage }) => stage === 'store')?.doneBytes).toBeGreaterThan(12 * layerBytes)
    expect(seen.at(-1)?.doneShare).toBe(1)
    await expectSameNumbers(store, manifest, big)
  })

  it('starts over when the source changed between two tries', async () => {
    await abortWhile('layer-2')
    expect(await store.list()).toEqual([])
    const other = makeTinyModel({ shards: 3, layers: 4, seed: 2 })
    for (const file of other.files) {
      server.files.set(file.name, { bytes: new Uint8Array(await file.arrayBuffer()), etag: '"new"' })
    }
    await expectSameNumbers(store, await run(), other)
  })

  it('reads a group again whose record went away between two tries', async () => {
    await abortWhile('layer-2')
    expect(await store.list()).toEqual([])
    await store.records('tiny-mpoe').deleteMany(['resident/embedding/0'])
    expect(await store.verify(await run())).toEqual([])
  })

  it('quota that ends in the middle says how much is needed and free, and the rest is stored later', async () => {
    const put = IDBObjectStore.prototype.put
    const spy = vi.spyOn(IDBObjectStore.prototype, 'put').mockImplementation(function (
      this: IDBObjectStore,
      value,
      key,
    ) {
      if (String(key) === 'resident/layer-1/0') throw new DOMException('full', 'QuotaExceededError')
      return put.call(this, value, key)
    })
    await expect(run()).rejects.toMatchObject({
      code: 'storage-quota',
      details: { neededBytes: expect.any(Number), freeBytes: 2 ** 40 },
    })
    spy.mockRestore()
    expect(await store.list()).toEqual([])
    expect(await store.verify(await run())).toEqual([])
  })

  it('too little room is told before any tensor is read, and nothing stays', async () => {
    await bigServer()
    store = makeStore(100_000)
    const source = { urls: [`${SERVER}${files[0]?.name}`] }
    await expect(run({ source })).rejects.toMatchObject({
      code: 'storage-quota',
      details: { freeBytes: 100_000 },
    })
    expect(server.log).toHaveLength(3)
    expect(await store.unfinished()).toEqual([])
  })

  it('two imports of the same model at once do the work once', async () => {
    const big = await bigServer()
    const source = { urls: big.files.map(({ name }) => SERVER + name) }
    const otherTab = makeStore()
    const stages: string[] = []
    const onProgress = ({ stage }: LoadProgress) => stages.push(stage)
    const [first, second] = await Promise.all([run({ source }), run({ source, store: otherTab, onProgress })])
    expect(second).toEqual(first)
    expect(stages).toEqual(['waiting'])
    const wholeBytes = big.files.reduce((sum, file) => sum + file.size, 0)
    expect(sentBytes(server.log)).toBeLessThan(wholeBytes + 6 * 128 * 1024)
  })

  it('503 in the middle is waited out', async () => {
    let number = 0
    server.intercept = () => (number++ % 3 === 0 ? new Response('', { status: 503 }) : undefined)
    expect(await store.verify(await run())).toEqual([])
  })

  it('a server without ranges is named, and leaves nothing', async () => {
    server.intercept = () => new Response(new Uint8Array(300_000))
    await expect(run()).rejects.toMatchObject({
      code: 'network',
      message: expect.stringContaining('no ranges'),
    })
    expect(await store.unfinished()).toEqual([])
  })

  it('a missing shard on the server is named', async () => {
    server.files.delete(files[1]?.name ?? '')
    await expect(run()).rejects.toMatchObject({
      code: 'network',
      message: expect.stringContaining('00002-of-00003'),
      details: { status: 404 },
    })
  })
})

describe('bad data', () => {
  it('a scale that is not finite names the tensor and leaves nothing', async () => {
    const { files } = makeTinyModel({
      edit(draft) {
        const tensor = draft.tensors.find(({ name }) => name === 'blk.1.attn_q.weight')
        if (tensor !== undefined) new DataView(tensor.data.buffer).setUint16(20, 0x7c00, true)
      },
    })
    await expect(importModel({ source: { files }, store })).rejects.toMatchObject({
      code: 'model-corrupt',
      details: { tensor: 'blk.1.attn_q.weight' },
    })
    expect(await store.list()).toEqual([])
  })

  it('an id is checked, and a taken one is not overwritten', async () => {
    const first = makeTinyModel({})
    const source = { files: first.files }
    await expect(importModel({ source, store, id: '<b>' })).rejects.toMatchObject({ code: 'bad-request' })
    const manifest = await importModel({ source, store, id: 'mine' })
    expect(await importModel({ source, store, id: 'mine' })).toEqual(manifest)
    const other = { files: makeTinyModel({ layers: 3 }).files }
    await expect(importModel({ source: other, store, id: 'mine' })).rejects.toMatchObject({
      code: 'bad-request',
      details: { stored: 'Tiny MPOE' },
    })
    expect(await store.verify(manifest)).toEqual([])
  })

  it('a damaged description is written anew', async () => {
    const source = { files: makeTinyModel({}).files }
    const manifest = await importModel({ source, store })
    await store.put({ ...manifest, version: 2 } as unknown as ModelManifest)
    await importModel({ source, store })
    expect((await store.get(manifest.id))?.fingerprint).toBe(manifest.fingerprint)
  })
})
