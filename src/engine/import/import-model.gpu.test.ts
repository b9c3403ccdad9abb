// The browser's own IndexedDB, blobs and Web Locks, which the Node tests only imitate.
import { afterEach, expect, it } from 'vitest'
import { expectSameNumbers } from '../../../test/fixtures/expect-packed.ts'
import { makeTinyModel } from '../../../test/fixtures/tiny-model.ts'
import { ModelStore } from '../store/model-store.ts'
import { importModel } from './import-model.ts'

const ID = 'browser-test'
const model = makeTinyModel({ shards: 3 })
const source = { files: model.files }

afterEach(() => new ModelStore().delete(ID))

it('a model is stored, read back, checked and deleted', async () => {
  const store = new ModelStore()
  const manifest = await importModel({ source, store, id: ID })
  await expectSameNumbers(store, manifest, model)
  expect(await store.readTokenizer(manifest)).toEqual(model.tokenizer)
  const bytes = new Blob([new Uint8Array(manifest.groups[1]?.bytes ?? 0)])
  await store.records(ID).setMany([['resident/layer-0/0', bytes]])
  expect(await store.verify(manifest)).toEqual(['resident/layer-0/0'])
  expect((await store.usage()).quotaBytes).toBeGreaterThan(0)
  await store.delete(ID)
  expect(await store.unfinished()).toEqual([])
  const databases = await indexedDB.databases()
  expect(databases.map(({ name }) => name)).not.toContain(`switchyard-model-${ID}`)
})

it('two imports wait for each other, and a loaded model is not deleted', async () => {
  const [one, two] = [new ModelStore(), new ModelStore()]
  const stages: string[] = []
  const [first, second] = await Promise.all([
    importModel({ source, store: one, id: ID }),
    importModel({ source, store: two, id: ID, onProgress: ({ stage }) => stages.push(stage) }),
  ])
  expect(second).toEqual(first)
  expect(stages).toEqual(['waiting'])
  const release = await one.locks.holdLoaded(ID)
  await expect(two.delete(ID)).rejects.toMatchObject({ code: 'busy' })
  release()
})

it('an aborted import leaves nothing visible and goes on later', async () => {
  const store = new ModelStore()
  const controller = new AbortController()
  const aborted = importModel({
    source,
    store,
    id: ID,
    signal: controller.signal,
    onProgress: () => controller.abort(),
  })
  await expect(aborted).rejects.toThrow(expect.objectContaining({ name: 'AbortError' }))
  expect((await store.list()).map(({ id }) => id)).not.toContain(ID)
  const manifest = await importModel({ source, store, id: ID })
  expect(await store.verify(manifest)).toEqual([])
})
