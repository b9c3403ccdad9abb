import 'fake-indexeddb/auto'
import { IDBFactory } from 'fake-indexeddb'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { expectNumbers, expectSameNumbers, readStoredGroup } from '../../../test/fixtures/expect-packed.ts'
import { makeTinyModel, type TinyModelOptions } from '../../../test/fixtures/tiny-model.ts'
import { unpackRows } from '../../../test/fixtures/unpack.ts'
import type { PackedTensor } from '../store/manifest.ts'
import { ModelStore } from '../store/model-store.ts'
import { importModel } from './import-model.ts'

let store: ModelStore

beforeEach(() => {
  vi.stubGlobal('indexedDB', new IDBFactory())
  store = new ModelStore()
})

afterEach(() => {
  vi.unstubAllGlobals()
})

describe('packing a whole model', () => {
  it.each([
    {},
    { shards: 4, tiedHead: false },
    { formats: { embedding: 'Q4_1', attention: 'Q8_0', central: 'Q8_0' } },
    { formats: { embedding: 'F16', attention: 'F16', central: 'F16' }, vectorFormat: 'F16' },
    { formats: { embedding: 'F32', attention: 'F32', central: 'F32' }, auxFormat: 'F32' },
    { formats: { attention: 'Q4_1', value: 'Q8_0' }, seed: 9 },
  ] as TinyModelOptions[])('keeps every number: %o', async (options) => {
    const model = makeTinyModel(options)
    const manifest = await importModel({ source: { files: model.files }, store })
    await expectSameNumbers(store, manifest, model)
    expect(await store.readTokenizer(manifest)).toEqual(model.tokenizer)
  })

  it('describes the model in its manifest', async () => {
    const { files, blueprint } = makeTinyModel({ shards: 2 })
    const manifest = await importModel({ source: { files }, store, id: 'own-id' })
    expect(await store.get('own-id')).toEqual(manifest)
    expect(manifest).toMatchObject({
      id: 'own-id',
      name: 'Tiny MPOE',
      license: 'apache-2.0',
      origin: { kind: 'files', names: files.map(({ name }) => name) },
      downloadBytes: files.reduce((sum, file) => sum + file.size, 0),
      blueprint,
    })
    expect(manifest.groups.map(({ name }) => name)).toEqual(['embedding', 'layer-0', 'layer-1', 'output'])
    const parts = [manifest.tokenizer, ...manifest.groups.flatMap((group) => group.parts)]
    expect(manifest.storedBytes).toBe(parts.reduce((sum, part) => sum + part.bytes, 0))
    expect((await store.records('own-id').keys()).sort()).toEqual(parts.map(({ key }) => key).sort())
  })

  it('cuts a long group into records of at most 16 MiB', async () => {
    const rows = 180_000
    const model = makeTinyModel({
      formats: { embedding: 'F32' },
      edit(draft) {
        const embedding = draft.tensors[0]
        if (embedding === undefined) return
        const first = embedding.data
        embedding.data = new Uint8Array(rows * 96 * 4)
        embedding.data.set(first)
        embedding.data.set(first, embedding.data.length - first.length)
        embedding.dims = [96, rows]
        const tokens = Array.from({ length: rows }, (_, at) => `t${at}`)
        draft.metadata.set('tokenizer.ggml.tokens', ['array', 'string', tokens])
        draft.metadata.set('tokenizer.ggml.token_type', ['array', 'i32', tokens.map(() => 1)])
        draft.metadata.set('mpoe-llama.vocab_size', ['u32', rows])
      },
    })
    const manifest = await importModel({ source: { files: model.files }, store })
    const parts = manifest.groups[0]?.parts ?? []
    expect(parts.map(({ bytes }) => bytes)).toEqual([
      2 ** 24,
      2 ** 24,
      2 ** 24,
      2 ** 24,
      69_120_000 - 2 ** 26,
    ])
    const tensor = manifest.tensors[0] as PackedTensor
    const group = await readStoredGroup(store, manifest, 'embedding')
    const embedding = model.tensors.get('token_embd.weight')?.data as Float32Array
    expectNumbers(unpackRows(group, tensor, 0, 272), embedding, 'first rows')
    expectNumbers(unpackRows(group, tensor, rows - 272, 272), embedding, 'last rows')
  })
})
