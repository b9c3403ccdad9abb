import 'fake-indexeddb/auto'
import { IDBFactory } from 'fake-indexeddb'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type FakeServer, makeFakeServer, SERVER, sentBytes } from '../../../test/fixtures/fake-server.ts'
import { makeTinyModel } from '../../../test/fixtures/tiny-model.ts'
import { createLocalLocks } from '../store/local-locks.ts'
import { createModelLocks } from '../store/locks.ts'
import type { ModelManifest } from '../store/manifest.ts'
import { ModelStore } from '../store/model-store.ts'
import { importModel } from './import-model.ts'
import type { NetworkOptions } from './range-request.ts'
import { repairRecord } from './repair-record.ts'

const { files } = makeTinyModel({ shards: 2, layers: 24, formats: { attention: 'F32', central: 'F32' } })
let store: ModelStore
let server: FakeServer
let manifest: ModelManifest
let network: NetworkOptions

beforeEach(async () => {
  vi.stubGlobal('indexedDB', new IDBFactory())
  store = new ModelStore({ locks: createModelLocks(createLocalLocks()) })
  server = await makeFakeServer(files)
  network = { fetch: server.fetch }
  manifest = await importModel({ source: { urls: files.map(({ name }) => SERVER + name) }, store, network })
  server.log.length = 0
})

afterEach(() => {
  vi.unstubAllGlobals()
})

const damage = (record: string, value: unknown = new Blob(['damaged'])) =>
  store.records(manifest.id).setMany([[record, value]])

describe('repairRecord', () => {
  it.each(['resident/layer-20/0', 'resident/embedding/0', 'tokenizer'])(
    'makes %s whole again',
    async (record) => {
      await damage(record)
      expect(await store.verify(manifest)).toEqual([record])
      await repairRecord({ store, manifest, record, network })
      expect(await store.verify(manifest)).toEqual([])
      const wholeBytes = files.reduce((sum, file) => sum + file.size, 0)
      expect(sentBytes(server.log)).toBeLessThan(wholeBytes / 5 + 2 * 128 * 1024)
    },
  )

  it('works while the model is loaded', async () => {
    const release = await store.locks.holdLoaded(manifest.id)
    await damage('resident/output/0', undefined)
    await repairRecord({ store, manifest, record: 'resident/output/0', network })
    expect(await store.verify(manifest)).toEqual([])
    release()
  })

  it('refuses a source whose headers changed', async () => {
    await damage('resident/layer-1/0')
    const other = makeTinyModel({
      shards: 2,
      layers: 24,
      formats: { attention: 'F32', central: 'F32' },
      name: 'Other',
    })
    for (const file of other.files) {
      server.files.set(file.name, { bytes: new Uint8Array(await file.arrayBuffer()), etag: '"2"' })
    }
    await expect(
      repairRecord({ store, manifest, record: 'resident/layer-1/0', network }),
    ).rejects.toMatchObject({
      code: 'model-corrupt',
      message: expect.stringContaining('source has changed'),
      details: { model: manifest.id, record: 'resident/layer-1/0' },
    })
  })

  it('refuses a source whose numbers changed', async () => {
    await damage('resident/layer-1/0')
    const other = makeTinyModel({
      shards: 2,
      layers: 24,
      formats: { attention: 'F32', central: 'F32' },
      seed: 5,
    })
    for (const file of other.files) {
      server.files.set(file.name, { bytes: new Uint8Array(await file.arrayBuffer()), etag: '"2"' })
    }
    const repairing = repairRecord({ store, manifest, record: 'resident/layer-1/0', network })
    await expect(repairing).rejects.toThrow(/source has changed/)
    expect(await store.verify(manifest)).toEqual(['resident/layer-1/0'])
  })

  it('tells that a model from files must be imported again, and an unknown record', async () => {
    const fromFiles: ModelManifest = { ...manifest, origin: { kind: 'files', names: ['a.gguf'] } }
    await expect(repairRecord({ store, manifest: fromFiles, record: 'tokenizer', network })).rejects.toThrow(
      /came from files/,
    )
    await expect(repairRecord({ store, manifest, record: 'resident/none/0', network })).rejects.toThrow(
      /no such record/,
    )
    await expect(
      repairRecord({ store, manifest, record: 'tokenizer', signal: AbortSignal.abort() }),
    ).rejects.toThrow(expect.objectContaining({ name: 'AbortError' }))
  })
})
