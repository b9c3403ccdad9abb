import { describe, expect, it } from 'vitest'
import { type DraftValue, GGML_TYPE, type GgufDraft } from '../../../test/fixtures/gguf-writer.ts'
import { makeTinyModel, type TinyModelOptions } from '../../../test/fixtures/tiny-model.ts'
import { openModel } from './open-model.ts'

const open = (options: TinyModelOptions) => openModel({ files: makeTinyModel(options).files })
const set = (key: string, value: DraftValue | undefined) => (draft: GgufDraft) => {
  const name = /^(general|tokenizer|split)\./.test(key) ? key : `mpoe-llama.${key}`
  if (value === undefined) draft.metadata.delete(name)
  else draft.metadata.set(name, value)
}
const find = (draft: GgufDraft, name: string) => {
  const tensor = draft.tensors.find((candidate) => candidate.name === name)
  if (tensor === undefined) throw new Error(`the fixture has no ${name}`)
  return tensor
}

describe('blueprint and tokenizer', () => {
  it.each([{}, { tiedHead: false }, { layers: 3, contextTokens: 1000 }])(
    'are what the file was made from: %o',
    async (options) => {
      const model = makeTinyModel(options)
      const opened = await openModel({ files: model.files })
      expect(opened.blueprint).toEqual(model.blueprint)
      expect(opened.tokenizer).toEqual(model.tokenizer)
      expect(opened).toMatchObject({ name: 'Tiny MPOE', defaultId: 'tiny-mpoe', license: 'apache-2.0' })
    },
  )

  it('takes the usual values for sizes that are not stated', async () => {
    const { blueprint } = await open({
      edit(draft) {
        for (const key of [
          'rope.freq_base',
          'rope.dimension_count',
          'expert_gating_func',
          'expert_weights_norm',
        ]) {
          draft.metadata.delete(`mpoe-llama.${key}`)
        }
      },
    })
    expect(blueprint).toMatchObject({
      ropeBase: 10_000,
      ropeDimensions: 20,
      router: { renormalize: false, scale: 1 },
    })
  })

  it('keeps a name that tries markup as text, and makes a sound id of it', async () => {
    const opened = await open({ name: '<img src=x onerror=alert(1)>\u202e\n..\u0000' })
    expect(opened.name).toBe('<img src=x onerror=alert(1)> ..')
    expect(opened.defaultId).toBe('img-src-x-onerror-alert-1')
    expect((await open({ name: '🙂' })).defaultId).toBe('tiny-mpoe')
  })
})

describe('unsupported models', () => {
  it.each([
    ['general.architecture', ['string', 'llama'], /architecture "llama"/],
    ['expert_gating_func', ['u32', 2], /expert_gating_func 2/],
    ['rope.scaling.type', ['string', 'yarn'], /rope.scaling.type = yarn/],
    ['rope.scaling.factor', ['f32', 2], /rope.scaling.factor/],
    ['attention.sliding_window', ['u32', 128], /sliding_window = 128/],
    ['attention.value_length', ['u32', 16], /values of 16/],
    ['attention.key_length', ['u32', 18], /values of 20|heads of 18/],
    ['mpo.ffn_gate.row_modes', ['array', 'i32', [2, 10, 8]], /not the skewed form/],
    ['mpo.ffn_down.bonds', ['array', 'i32', [1, 12, 5, 2]], /not the skewed form/],
    ['mpo.ffn_down.column_modes', ['array', 'i32', [20, 4, 2, 1]], /not the skewed form/],
    ['mpo.ffn_up.column_modes', ['array', 'i32', [8, 12, 1]], /gate and up have different modes/],
  ] as [string, DraftValue, RegExp][])('%s = %o', async (key, value, message) => {
    await expect(open({ edit: set(key, value) })).rejects.toMatchObject({
      code: 'model-unsupported',
      message: expect.stringMatching(message),
    })
  })

  it('tensors that have no place are named', async () => {
    const edit = (draft: GgufDraft) =>
      draft.tensors.push({ ...find(draft, 'blk.0.attn_norm.weight'), name: 'blk.0.attn_q.bias' })
    await expect(open({ edit })).rejects.toMatchObject({
      code: 'model-unsupported',
      details: { tensor: 'blk.0.attn_q.bias' },
    })
  })

  it('a quantization without a kernel names tensor and type', async () => {
    const edit = (draft: GgufDraft) => {
      const tensor = find(draft, 'blk.1.attn_q.weight')
      tensor.type = GGML_TYPE.Q4_0
      tensor.data = tensor.data.slice(0, (tensor.data.length / 20) * 18)
    }
    await expect(open({ edit })).rejects.toMatchObject({
      code: 'model-unsupported',
      details: { tensor: 'blk.1.attn_q.weight', type: 'Q4_0' },
    })
  })

  it('gate and up in different formats are refused', async () => {
    const edit = (draft: GgufDraft) => {
      const tensor = find(draft, 'blk.0.ffn_up_mpo_central.weight')
      tensor.type = GGML_TYPE.Q8_0
      tensor.data = new Uint8Array((tensor.data.length / 20) * 34)
    }
    await expect(open({ edit })).rejects.toMatchObject({
      code: 'model-unsupported',
      message: expect.stringContaining('must have the format of blk.0.ffn_gate_mpo_central.weight'),
    })
  })

  it('a quantized norm is refused', async () => {
    const edit = (draft: GgufDraft) => {
      const tensor = find(draft, 'output_norm.weight')
      tensor.type = GGML_TYPE.Q8_0
      tensor.data = new Uint8Array(3 * 34)
    }
    await expect(open({ edit })).rejects.toMatchObject({
      code: 'model-unsupported',
      details: { tensor: 'output_norm.weight' },
    })
  })
})

describe('contradictions', () => {
  it.each([
    ['block_count', undefined, /block_count is missing/],
    ['block_count', ['string', '2'], /block_count is "2", not a whole number/],
    ['block_count', ['u32', 4000], /block_count is 4000, not a whole number from 1 to 512/],
    ['embedding_length', ['u32', 64], /matrix \[160, 96\] where \[160, 64\] is needed/],
    ['attention.head_count_kv', ['u32', 3], /not a multiple of the 3 KV heads/],
    ['attention.layer_norm_rms_epsilon', ['f32', 0], /not a positive number/],
    ['rope.dimension_count', ['u32', 7], /is odd/],
    ['rope.dimension_count', ['u32', 22], /from 2 to 20/],
    ['rope.freq_base', ['f32', Number.NaN], /not a positive number/],
    ['vocab_size', ['u32', 100], /is 100, but there are 272 tokens/],
    ['expert_count', ['u32', 257], /from 1 to 256/],
    ['expert_used_count', ['u32', 5], /from 1 to 4/],
    ['expert_weights_norm', ['u32', 1], /not true or false/],
    ['expert_feed_forward_length', ['u32', 64], /is 64, not 160/],
    ['mpo.ffn_gate.bonds', ['array', 'i32', [1, -8, 6, 1]], /value outside/],
    ['mpo.ffn_gate.bonds', ['array', 'string', ['1']], /not a list of whole numbers/],
    ['tokenizer.ggml.tokens', undefined, /tokens is missing/],
    ['tokenizer.ggml.tokens', ['array', 'i32', [1]], /not a list of texts/],
    ['tokenizer.ggml.token_type', ['array', 'i32', [1, 1]], /2 entries for 272 tokens/],
    [
      'tokenizer.ggml.token_type',
      ['array', 'i32', Array.from({ length: 272 }, () => 9)],
      /unknown token type 9/,
    ],
    ['tokenizer.ggml.merges', ['array', 'string', ['a b', 'ab']], /no pair at entry 1/],
    ['tokenizer.ggml.eos_token_id', ['u32', 272], /from 0 to 271/],
    ['tokenizer.chat_template', ['u32', 1], /not text/],
  ] as [string, DraftValue | undefined, RegExp][])('%s = %o is model-format', async (key, value, message) => {
    await expect(open({ edit: set(key, value) })).rejects.toMatchObject({
      code: 'model-format',
      message: expect.stringMatching(message),
    })
  })

  it.each(['token_embd', 'output_norm', 'blk.1.ffn_gate_inp', 'blk.0.ffn_down_mpo_right', 'blk.1.attn_v'])(
    'a missing %s is named',
    async (name) => {
      const edit = (draft: GgufDraft) => {
        draft.tensors = draft.tensors.filter((tensor) => tensor.name !== `${name}.weight`)
      }
      await expect(open({ edit })).rejects.toMatchObject({
        code: 'model-format',
        details: { tensor: `${name}.weight` },
      })
    },
  )

  it.each([
    ['blk.0.ffn_gate_mpo_left', [8, 12, 4]],
    ['blk.0.ffn_down_mpo_central', [60, 96]],
    ['blk.1.attn_k', [96, 41]],
    ['blk.1.attn_norm', [95]],
    ['token_embd', [96, 271]],
    ['blk.0.attn_norm', [96, 2]],
  ])('%s of sizes %o is named with both', async (name, dims) => {
    const edit = (draft: GgufDraft) => {
      const tensor = find(draft, `${name}.weight`)
      tensor.type = GGML_TYPE.F32
      tensor.dims = dims
      tensor.data = new Uint8Array(4 * dims.reduce((product, size) => product * size, 1))
    }
    await expect(open({ edit })).rejects.toMatchObject({
      code: 'model-format',
      details: { tensor: `${name}.weight`, dims },
    })
  })
})

describe('shards', () => {
  const files = () => makeTinyModel({ shards: 3 }).files
  const rename = (file: File | undefined, name: string) => new File([file as File], name)

  it('are read in any order of the files', async () => {
    const [a, b, c] = files() as [File, File, File]
    const { file } = await openModel({ files: [c, a, b] })
    expect(file.sources.map(({ name }) => name)).toEqual([a.name, b.name, c.name])
  })

  it('without names are read in the given order', async () => {
    const blobs = files().map((file) => new Blob([file]))
    expect((await openModel({ files: blobs })).file.tensors.size).toBe(34)
  })

  it.each([
    [
      'swapped',
      ([a, b, c]: File[]) => [a, rename(b, c?.name ?? ''), rename(c, b?.name ?? '')],
      /is shard 3 of 3 where shard 2 belongs/,
    ],
    ['missing', ([a, , c]: File[]) => [a, c], /1 of 3 shards are missing: tiny-mpoe-00002-of-00003.gguf/],
    [
      'alone under another name',
      ([a]: File[]) => [rename(a, 'model.gguf')],
      /one of 3 shards, but 1 are given/,
    ],
    [
      'of another model',
      ([a, , c]: File[]) => [a, makeTinyModel({ shards: 3, layers: 3 }).files[1], c],
      /belongs to another model/,
    ],
    [
      'doubled inside',
      ([a, b]: File[]) => [a, b, rename(b, 'tiny-mpoe-00003-of-00003.gguf')],
      /is shard 2 of 3 where shard 3 belongs/,
    ],
  ] as [string, (files: File[]) => File[], RegExp][])(
    'that are %s are model-format',
    async (_, change, message) => {
      await expect(openModel({ files: change(files()) })).rejects.toMatchObject({
        code: 'model-format',
        message: expect.stringMatching(message),
      })
    },
  )

  it('that hold other tensors than announced are model-format', async () => {
    const edit = (draft: GgufDraft) => draft.tensors.push({ ...find(draft, 'blk.0.attn_norm.weight') })
    await expect(open({ shards: 3, edit })).rejects.toMatchObject({
      code: 'model-format',
      message: expect.stringMatching(/blk.0.attn_norm.weight is in two shards/),
    })
  })

  it('cut off are model-corrupt with the name', async () => {
    const [a, b, c] = files() as [File, File, File]
    const cut = new File([b.slice(0, b.size - 40)], b.name)
    await expect(openModel({ files: [a, cut, c] })).rejects.toMatchObject({
      code: 'model-corrupt',
      details: { file: b.name },
    })
  })

  it('none at all is a bad request', async () => {
    await expect(openModel({ files: [] })).rejects.toMatchObject({ code: 'bad-request' })
  })
})
