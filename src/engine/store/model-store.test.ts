import 'fake-indexeddb/auto'
import { IDBFactory } from 'fake-indexeddb'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { makeTinyModel } from '../../../test/fixtures/tiny-model.ts'
import { tinyTokenizer } from '../../../test/fixtures/tiny-tokenizer.ts'
import { crc32 } from './crc32.ts'
import { createLocalLocks } from './local-locks.ts'
import { createModelLocks } from './locks.ts'
import type { ModelManifest } from './manifest.ts'
import { checkModelId, modelIdFrom } from './model-id.ts'
import { ModelStore } from './model-store.ts'

const GIB = 2 ** 30
const PARTS = [Uint8Array.from({ length: 64 }, (_, at) => at), new Uint8Array(32).fill(9)] as const
const TOKENIZER = new TextEncoder().encode(JSON.stringify(tinyTokenizer()))

function makeManifest(id = 'tiny', changes: Partial<ModelManifest> = {}): ModelManifest {
  const parts = PARTS.map((bytes, at) => ({
    key: `resident/g/${at}`,
    bytes: bytes.length,
    crc32: crc32(bytes),
  }))
  return {
    version: 1,
    id,
    name: `Model ${id}`,
    description: '',
    license: '',
    origin: { kind: 'files', names: ['a.gguf'] },
    fingerprint: 'f',
    importedAt: 1,
    downloadBytes: 10,
    storedBytes: 96 + TOKENIZER.length,
    blueprint: makeTinyModel().blueprint,
    tokenizer: { key: 'tokenizer', bytes: TOKENIZER.length, crc32: crc32(TOKENIZER) },
    groups: [{ name: 'g', bytes: 96, parts }],
    tensors: [
      {
        name: 'v',
        group: 'g',
        layout: 'plain',
        format: 'f32',
        rows: 1,
        columns: 24,
        codes: { offsetBytes: 0, bytes: 96 },
      },
    ],
    ...changes,
  }
}

let store: ModelStore
const storage = {
  estimate: async () => ({ usage: 0.5 * GIB, quota: 2 * GIB }),
  persisted: async () => true,
}

beforeEach(() => {
  vi.stubGlobal('indexedDB', new IDBFactory())
  store = new ModelStore({ locks: createModelLocks(createLocalLocks()), storage })
})

afterEach(() => {
  vi.unstubAllGlobals()
  vi.restoreAllMocks()
})

async function save(manifest = makeManifest(), target = store): Promise<ModelManifest> {
  const entries = PARTS.map((bytes, at) => [`resident/g/${at}`, new Blob([bytes])] as const)
  await target.records(manifest.id).setMany([...entries, ['tokenizer', new Blob([TOKENIZER])]])
  await target.put(manifest)
  return manifest
}

async function readAll(manifest: ModelManifest, signal?: AbortSignal): Promise<[number, number[]][]> {
  const chunks: [number, number[]][] = []
  for await (const { offsetBytes, bytes } of store.readGroup(manifest, 'g', signal)) {
    chunks.push([offsetBytes, [...new Uint8Array(bytes)]])
  }
  return chunks
}

describe('models', () => {
  it('are listed by name and read back as they were', async () => {
    await save(makeManifest('b', { name: 'Alpha' }))
    await save(makeManifest('a', { name: 'Beta' }))
    expect((await store.list()).map(({ id }) => id)).toEqual(['b', 'a'])
    expect(await store.get('a')).toEqual(makeManifest('a', { name: 'Beta' }))
    expect(await store.get('other')).toBeUndefined()
  })

  it('give their groups part by part and their tokenizer', async () => {
    const manifest = await save()
    expect(await readAll(manifest)).toEqual([
      [0, [...PARTS[0]]],
      [64, [...PARTS[1]]],
    ])
    expect(await store.readTokenizer(manifest)).toEqual(tinyTokenizer())
    expect(await store.verify(manifest)).toEqual([])
  })

  it('read a group in one transaction', async () => {
    const manifest = await save()
    const spy = vi.spyOn(IDBDatabase.prototype, 'transaction')
    await readAll(manifest)
    expect(spy).toHaveBeenCalledTimes(1)
  })

  it('are gone after a deletion, with their database, in every tab', async () => {
    const manifest = await save()
    const otherTab = new ModelStore({ locks: store.locks, storage })
    expect(await otherTab.verify(manifest)).toEqual([])
    await store.delete('tiny')
    expect(await otherTab.list()).toEqual([])
    const names = (await indexedDB.databases()).map(({ name }) => name)
    expect(names).not.toContain('switchyard-model-tiny')
    await save(manifest, otherTab)
    expect(await store.verify(manifest)).toEqual([])
  })

  it('are not deleted while loaded', async () => {
    await save()
    const release = await store.locks.holdLoaded('tiny')
    await expect(store.delete('tiny')).rejects.toMatchObject({ code: 'busy' })
    expect(await store.list()).toHaveLength(1)
    release()
  })

  it('stop being read on abort', async () => {
    const manifest = await save()
    await expect(readAll(manifest, AbortSignal.abort())).rejects.toThrow(
      expect.objectContaining({ name: 'AbortError' }),
    )
    await expect(store.verify(manifest, AbortSignal.abort())).rejects.toThrow(
      expect.objectContaining({ name: 'AbortError' }),
    )
  })
})

describe('damage', () => {
  const flipped = PARTS[1].slice().fill(8, 5, 6)
  it.each([
    ['with a changed byte', new Blob([flipped]), /has checksum/],
    ['cut off', new Blob([PARTS[1].slice(1)]), /31 of 32 bytes/],
    ['that is no blob', PARTS[1], /is missing/],
    ['that is gone', undefined, /is missing/],
  ])('in a record %s names the record', async (_, value, message) => {
    const manifest = await save()
    await store.records('tiny').setMany([['resident/g/1', value]])
    await expect(readAll(manifest)).rejects.toMatchObject({
      code: 'model-corrupt',
      message: expect.stringMatching(message),
      details: { model: 'tiny', record: 'resident/g/1', expectedBytes: expect.anything() },
    })
    expect(await store.verify(manifest)).toEqual(['resident/g/1'])
  })

  it('in the tokenizer names its record', async () => {
    const manifest = await save()
    const broken = TOKENIZER.slice().fill(0, 5, 6)
    await store.records('tiny').setMany([['tokenizer', new Blob([broken])]])
    await expect(store.readTokenizer(manifest)).rejects.toMatchObject({
      code: 'model-corrupt',
      details: { record: 'tokenizer' },
    })
    const crc = { key: 'tokenizer', bytes: broken.length, crc32: crc32(broken) }
    await expect(store.readTokenizer({ ...manifest, tokenizer: crc })).rejects.toThrow(
      /tokenizer of "tiny" is damaged/,
    )
  })

  it.each([
    ['another version', { version: 2 }, 'version'],
    ['another id', { id: 'x' }, 'id'],
    ['a wrong size', { blueprint: { ...makeManifest().blueprint, layers: -1 } }, 'blueprint.layers'],
    ['parts that do not add up', { groups: [{ ...makeManifest().groups[0], bytes: 97 }] }, 'manifest'],
    [
      'a tensor outside its group',
      { tensors: [{ ...makeManifest().tensors[0], codes: { offsetBytes: 16, bytes: 96 } }] },
      'manifest',
    ],
    [
      'a tensor out of alignment',
      { tensors: [{ ...makeManifest().tensors[0], codes: { offsetBytes: 4, bytes: 92 } }] },
      'tensors.0.codes.offsetBytes',
    ],
    [
      'a tensor of the wrong length',
      { tensors: [{ ...makeManifest().tensors[0], columns: 23 }] },
      'manifest',
    ],
    ['no groups', { groups: null }, 'groups'],
  ])('in a description with %s names the field', async (_, changes, field) => {
    await store.put({ ...makeManifest(), ...changes, id: 'tiny' } as ModelManifest)
    if ('id' in changes) await indexedDBPut('tiny', { ...makeManifest(), ...changes })
    await expect(store.get('tiny')).rejects.toMatchObject({
      code: 'model-corrupt',
      details: { model: 'tiny', field },
    })
    expect(await store.list()).toEqual([])
    expect(await store.unfinished()).toEqual(['tiny'])
    await store.delete('tiny')
    expect(await store.unfinished()).toEqual([])
  })
})

function indexedDBPut(key: string, value: unknown): Promise<void> {
  return new Promise((resolve) => {
    const request = indexedDB.open('switchyard-manifests')
    request.onsuccess = () => {
      const transaction = request.result.transaction('records', 'readwrite')
      transaction.objectStore('records').put(value, key)
      transaction.oncomplete = () => {
        request.result.close()
        resolve()
      }
    }
  })
}

describe('room', () => {
  it('is told by the browser', async () => {
    await save()
    const { storedBytes } = makeManifest()
    expect(await store.usage()).toEqual({
      usedBytes: 0.5 * GIB,
      quotaBytes: 2 * GIB,
      isPersistent: true,
      models: [{ id: 'tiny', storedBytes }],
    })
    await expect(store.checkRoom('tiny', 1.5 * GIB)).resolves.toBeUndefined()
    await expect(store.checkRoom('tiny', 1.5 * GIB + 1)).rejects.toMatchObject({
      code: 'storage-quota',
      details: { neededBytes: 1.5 * GIB + 1, freeBytes: 1.5 * GIB },
    })
  })

  it('is unknown where the browser does not tell', async () => {
    const silent = new ModelStore({ locks: store.locks, storage: undefined })
    vi.stubGlobal('navigator', {})
    await save()
    expect(await silent.usage()).toMatchObject({
      usedBytes: makeManifest().storedBytes,
      quotaBytes: 0,
      isPersistent: false,
    })
    await expect(silent.checkRoom('tiny', 2 ** 50)).resolves.toBeUndefined()
  })

  it('that ends at a write is storage-quota', async () => {
    vi.spyOn(IDBObjectStore.prototype, 'put').mockImplementation(() => {
      throw new DOMException('full', 'QuotaExceededError')
    })
    await expect(store.put(makeManifest())).rejects.toMatchObject({
      code: 'storage-quota',
      cause: { message: 'full' },
    })
  })

  it('that is not there at all is storage-missing', async () => {
    vi.stubGlobal('indexedDB', undefined)
    await expect(new ModelStore({ storage }).list()).rejects.toMatchObject({ code: 'storage-missing' })
    vi.stubGlobal('indexedDB', {
      open() {
        throw new DOMException('denied', 'SecurityError')
      },
    })
    await expect(new ModelStore({ storage }).list()).rejects.toMatchObject({
      code: 'storage-missing',
      message: expect.stringContaining('SecurityError: denied'),
    })
  })

  it("does not let a transaction's own abort pass for a person's", async () => {
    vi.spyOn(IDBObjectStore.prototype, 'put').mockImplementation(function (this: IDBObjectStore) {
      this.transaction.abort()
      return {} as IDBRequest<IDBValidKey>
    })
    await expect(store.put(makeManifest())).rejects.toMatchObject({ code: 'storage-missing' })
  })
})

describe('ids', () => {
  it.each(['', '.hidden', '../up', 'a b', '<b>', 'x'.repeat(65), 'ü'])('refuses %j', async (id) => {
    expect(() => checkModelId(id)).toThrow(expect.objectContaining({ code: 'bad-request' }))
    await expect(store.get(id)).rejects.toMatchObject({ code: 'bad-request' })
    await expect(store.delete(id)).rejects.toMatchObject({ code: 'bad-request' })
    expect(() => store.records(id)).toThrow(expect.objectContaining({ code: 'bad-request' }))
  })

  it('are made from names', () => {
    expect(modelIdFrom('SmolLM2-MPOE 8x135M')).toBe('smollm2-mpoe-8x135m')
    expect(modelIdFrom('Größe 1')).toBe('gro-e-1')
    expect(modelIdFrom('../..')).toBeUndefined()
    expect(modelIdFrom('x'.repeat(99))).toHaveLength(64)
  })
})
