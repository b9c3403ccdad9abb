import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type DraftTensor, GGML_TYPE, type GgufDraft, writeGguf } from '../../../test/fixtures/gguf-writer.ts'
import { makeTinyModel } from '../../../test/fixtures/tiny-model.ts'
import { EngineError } from '../errors.ts'
import { openBlob } from './byte-source.ts'
import { readGguf } from './gguf.ts'
import { openModel } from './open-model.ts'

const tensor = (name: string, changes: Partial<DraftTensor> = {}): DraftTensor => ({
  name,
  type: GGML_TYPE.F32,
  dims: [8],
  data: new Uint8Array(32).fill(1),
  ...changes,
})

const draft = (changes: Partial<GgufDraft> = {}): GgufDraft => ({
  metadata: new Map([['general.architecture', ['string', 'test']]]),
  tensors: [tensor('a'), tensor('b')],
  ...changes,
})

const read = (bytes: Uint8Array<ArrayBuffer>) => readGguf(openBlob(new File([bytes], 'test.gguf')))
const readDraft = (changes: Partial<GgufDraft>) => read(writeGguf(draft(changes)))

/** Bytes of a draft with 32 bits replaced at the first place of `text`, moved by `offset`. */
function patched(changes: Partial<GgufDraft>, text: string, offset: number, words: readonly number[]) {
  const bytes = writeGguf(draft(changes))
  const at = Buffer.from(bytes.buffer).indexOf(text) + offset
  const view = new DataView(bytes.buffer)
  for (const [word, value] of words.entries()) view.setUint32(at + word * 4, value, true)
  return bytes
}

describe('readGguf', () => {
  it.each([2, 3])('reads metadata of every type and tensor ranges of version %i', async (version) => {
    const header = await readDraft({
      version,
      metadata: new Map([
        ['text', ['string', 'größe 🙂']],
        ['mark', ['string', '\ufeffx']],
        ['u8', ['u8', 200]],
        ['u16', ['u16', 60_000]],
        ['u32', ['u32', 4_000_000_000]],
        ['i32', ['i32', -5]],
        ['u64', ['u64', 2 ** 40]],
        ['f32', ['f32', 0.5]],
        ['bool', ['bool', true]],
        ['list', ['array', 'string', ['a', '', 'ç']]],
        ['numbers', ['array', 'i32', [1, -2]]],
        ['__proto__', ['string', 'a key like any other']],
      ]),
    })
    expect(Object.fromEntries([...header.metadata].filter(([key]) => key !== '__proto__'))).toEqual({
      text: 'größe 🙂',
      mark: '\ufeffx',
      u8: 200,
      u16: 60_000,
      u32: 4_000_000_000,
      i32: -5,
      u64: 2 ** 40,
      f32: 0.5,
      bool: true,
      list: ['a', '', 'ç'],
      numbers: [1, -2],
    })
    expect(header.metadata.get('__proto__')).toBe('a key like any other')
    expect(header.tensors).toMatchObject([
      { name: 'a', dims: [8], bytes: 32, type: { name: 'F32' } },
      { name: 'b', dims: [8], bytes: 32, offsetBytes: (header.tensors[0]?.offsetBytes ?? 0) + 32 },
    ])
    expect(header.headerBytes).toBeLessThanOrEqual(header.tensors[0]?.offsetBytes ?? 0)
  })

  it('honors another alignment', async () => {
    const metadata = new Map([['general.alignment', ['u32', 256]]] as const)
    const { tensors } = await readDraft({ metadata: new Map(metadata), alignment: 256 })
    expect(tensors.map(({ offsetBytes }) => offsetBytes % 256)).toEqual([0, 0])
  })

  it('reads no more of a long header than it needs, in few steps', async () => {
    const tokens = Array.from({ length: 60_000 }, (_, at) => `token ${at}`)
    const metadata = new Map([['tokens', ['array', 'string', tokens]]] as const)
    const big = tensor('big', { dims: [2 ** 21], data: new Uint8Array(2 ** 23) })
    const blob = openBlob(new Blob([writeGguf({ metadata: new Map(metadata), tensors: [big] })]))
    const reads: number[] = []
    const header = await readGguf({
      ...blob,
      read: (offset, length, signal) => {
        reads.push(length)
        return blob.read(offset, length, signal)
      },
    })
    expect(header.metadata.get('tokens')).toEqual(tokens)
    expect(reads.length).toBeLessThan(8)
    expect(reads.reduce((sum, length) => sum + length, 0)).toBeLessThan(2.1 * header.headerBytes)
  })
})

describe('bad headers', () => {
  it.each([
    ['a wrong magic number', writeGguf(draft()).with(0, 0x50), /0x46554750 instead of "GGUF"/],
    [
      'an alignment that is no power of two',
      { metadata: new Map([['general.alignment', ['u32', 48]]]) },
      /alignment is 48/,
    ],
    ['an alignment of 0', { metadata: new Map([['general.alignment', ['u32', 0]]]) }, /alignment is 0/],
    ['a tensor twice', { tensors: [tensor('a'), tensor('a')] }, /tensor a is there twice/],
    ['a tensor without a name', { tensors: [tensor('')] }, /no name/],
    ['a tensor name too long', { tensors: [tensor('x'.repeat(300))] }, /is 300, more than 256/],
    ['too many dimensions', { tensors: [tensor('a', { dims: [1, 1, 1, 1, 8] })] }, /5 dimensions/],
    ['no dimension', { tensors: [tensor('a', { dims: [] })] }, /0 dimensions/],
    ['a size of 0', { tensors: [tensor('a', { dims: [0] })] }, /size of 0/],
    [
      'a size beyond safe numbers',
      { tensors: [tensor('a', { dims: [2 ** 60] })] },
      /more than 9007199254740991/,
    ],
    [
      'a product beyond safe numbers',
      { tensors: [tensor('a', { dims: [2 ** 30, 2 ** 30] })] },
      /more than can be counted/,
    ],
    [
      'a row that is no whole block',
      { tensors: [tensor('a', { type: GGML_TYPE.Q8_0, dims: [8, 4] })] },
      /rows of 8 numbers/,
    ],
    ['an offset out of alignment', { tensors: [tensor('a', { offset: 16 })] }, /starts at 16/],
    ['overlapping tensors', { tensors: [tensor('a'), tensor('b', { offset: 0 })] }, /a and b overlap/],
    [
      'a metadata key twice',
      patched(
        {
          metadata: new Map([
            ['keyA', ['u32', 1]],
            ['keyB', ['u32', 1]],
          ]),
        },
        'keyB',
        0,
        [0x4179656b],
      ),
      /"keyA" is there twice/,
    ],
    ['an unknown metadata type', patched({}, 'general.architecture', 20, [99]), /unknown type 99/],
    [
      'a nested array',
      patched({ metadata: new Map([['list', ['array', 'i32', [1]]]]) }, 'list', 8, [9]),
      /items of the unknown type 9/,
    ],
    [
      'a list too long',
      patched({ metadata: new Map([['list', ['array', 'i32', [1]]]]) }, 'list', 12, [2 ** 30]),
      /length of list is 1073741824/,
    ],
    [
      'text that is not UTF-8',
      patched({ metadata: new Map([['key', ['string', 'abcd']]]) }, 'abcd', 0, [0xffffffff]),
      /not UTF-8/,
    ],
    ['too many tensors', writeGguf(draft()).with(11, 9), /tensor count is/],
  ] as [string, Partial<GgufDraft> | Uint8Array<ArrayBuffer>, RegExp][])(
    '%s is model-format',
    async (_, input, message) => {
      const reading = input instanceof Uint8Array ? read(input) : readDraft(input)
      await expect(reading).rejects.toMatchObject({
        code: 'model-format',
        message: expect.stringMatching(message),
        details: { file: 'test.gguf' },
      })
    },
  )

  it.each([
    ['an offset', { tensors: [tensor('a', { offset: 2 ** 40 })] }, /tensor a lies at bytes/],
    ['a size', { tensors: [tensor('a', { dims: [2 ** 20] })] }, /beyond the file's end/],
    [
      'a list',
      patched({ metadata: new Map([['list', ['array', 'string', ['x']]]]) }, 'list', 12, [100_000]),
      /inside its header/,
    ],
    ['a text', patched({}, 'test', -8, [100_000]), /inside its header/],
  ] as [string, Partial<GgufDraft> | Uint8Array<ArrayBuffer>, RegExp][])(
    '%s beyond the file is model-corrupt with numbers',
    async (_, input, message) => {
      const bytes = input instanceof Uint8Array ? input : writeGguf(draft(input))
      await expect(read(bytes)).rejects.toMatchObject({
        code: 'model-corrupt',
        message: expect.stringMatching(message),
        details: { sizeBytes: bytes.byteLength },
      })
    },
  )

  it.each([
    [1, /GGUF version 1/],
    [0x03000000, /GGUF version 50331648/],
  ])('version %i is model-unsupported', async (version, message) => {
    await expect(readDraft({ version })).rejects.toMatchObject({
      code: 'model-unsupported',
      message: expect.stringMatching(message),
    })
  })

  it('names an unknown tensor type', async () => {
    await expect(readDraft({ tensors: [tensor('odd', { type: 77 })] })).rejects.toMatchObject({
      code: 'model-unsupported',
      details: { tensor: 'odd', type: 77 },
    })
  })
})

describe('any file at all', () => {
  const bytesOf = async (options = {}) =>
    new Uint8Array(await (makeTinyModel(options).files[0] as File).arrayBuffer())

  async function outcome(bytes: Uint8Array<ArrayBuffer>): Promise<unknown> {
    return openModel({ files: [new File([bytes], 'x.gguf')] }).then(
      () => undefined,
      (error: unknown) => error,
    )
  }

  it('cut off anywhere is refused with an EngineError', async () => {
    const whole = await bytesOf()
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: whole.length - 1 }), async (length) => {
        expect(await outcome(whole.slice(0, length))).toMatchObject({ code: 'model-corrupt' })
      }),
      { numRuns: 150 },
    )
  })

  it('with bytes changed in its header is read or refused with an EngineError, and never hangs', async () => {
    const whole = await bytesOf()
    const { headerBytes } = await readGguf(openBlob(new Blob([whole])))
    const change = fc.record({
      at: fc.integer({ min: 0, max: headerBytes - 1 }),
      value: fc.integer({ min: 0, max: 255 }),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 6 }), async (changes) => {
        const bytes = whole.slice()
        for (const { at, value } of changes) bytes[at] = value
        const error = await outcome(bytes)
        expect(error === undefined || error instanceof EngineError).toBe(true)
      }),
      { numRuns: 300 },
    )
  })

  it('of random bytes after the magic number is refused with an EngineError', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 400 }), async (tail) => {
        const bytes = new Uint8Array(8 + tail.length)
        bytes.set([0x47, 0x47, 0x55, 0x46, 3])
        bytes.set(tail, 8)
        expect(await outcome(bytes)).toBeInstanceOf(EngineError)
      }),
      { numRuns: 200 },
    )
  })
})
