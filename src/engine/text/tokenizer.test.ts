import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { spellingToBytes } from './byte-level.ts'
import { createSpecialTokens } from './special-tokens.ts'
import { createTokenizer } from './tokenizer.ts'
import type { TokenizerData } from './tokenizer-data.ts'

/** A vocabulary of all 256 bytes, spelled as the byte-level alphabet has them, and what a test adds. */
function makeData(more: [string, number][] = [], merges: string[] = []): TokenizerData {
  const spellings: string[] = []
  for (let code = 0; spellings.length < 256; code++) {
    const character = String.fromCharCode(code)
    if (spellingToBytes(character).length === 1 && (code > 0x7f || code > 0x20)) {
      if (code !== 0x7f && !(code > 0x7f && code < 0xa1) && code !== 0xad) spellings.push(character)
    }
  }
  return {
    model: 'gpt2',
    pre: 'smollm',
    tokens: [...spellings, ...more.map(([token]) => token)],
    types: [...spellings.map(() => 1), ...more.map(([, type]) => type)],
    merges,
    addBos: false,
    addSpacePrefix: false,
  }
}

describe('createTokenizer', () => {
  test('is exact in both directions for any text', () => {
    const tokenizer = createTokenizer(
      makeData(
        [
          ['he', 1],
          ['Ġhe', 1],
        ],
        ['h e', 'Ġ he'],
      ),
    )
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        const ids = tokenizer.encode(text, { specials: 'parse' })
        expect(tokenizer.decode(ids, { specials: 'show' })).toBe(text)
      }),
      { numRuns: 500, seed: 2 },
    )
    expect(tokenizer.encode('he he', { specials: 'plain' })).toEqual([256, 257])
  })

  test('splits where white space of Unicode is, not where that of JavaScript is', () => {
    // U+FEFF is no white space for the original, U+0085 is: ' !' with either between stays apart or together.
    const tokenizer = createTokenizer(
      makeData(
        [
          ['ï»', 1],
          ['ï»¿', 1],
          ['ï»¿!', 1],
        ],
        ['ï »', 'ï» ¿', 'ï»¿ !'],
      ),
    )
    expect(tokenizer.encode('\uFEFF!', { specials: 'plain' })).toEqual([258])
  })

  test('matches user-defined tokens always, control tokens only when asked, the longest first', () => {
    const tokenizer = createTokenizer(
      makeData([
        ['<think>', 4],
        ['<|a|>', 3],
        ['<|a|>b', 3],
      ]),
    )
    const [think, , long] = [256, 257, 258]
    const text = '<think><|a|>b'
    expect(tokenizer.encode(text, { specials: 'parse' })).toEqual([think, long])
    const plain = tokenizer.encode(text, { specials: 'plain' })
    expect(plain[0]).toBe(think)
    expect(plain.length).toBe(7)
    expect(tokenizer.decode(plain, { specials: 'hide' })).toBe(text)
    expect(tokenizer.decode([think, long, think], { specials: 'hide' })).toBe('<think><think>')
    expect(tokenizer.decode([think, long], { specials: 'show' })).toBe(text)
  })

  test('shows tokens that are no whole character byte by byte', () => {
    const tokenizer = createTokenizer(
      makeData([
        ['ðŁ', 1],
        ['ĠÃ©', 1],
        ['<|x|>', 3],
      ]),
    )
    expect(tokenizer.tokenText(256)).toBe('<0xF0><0x9F>')
    expect(tokenizer.tokenText(257)).toBe(' é')
    expect(tokenizer.tokenText(258)).toBe('<|x|>')
  })

  test('gives replacement characters only at the end, or where a control token interrupts', () => {
    const tokenizer = createTokenizer(
      makeData([
        ['ðŁ', 1],
        ['<|x|>', 3],
      ]),
    )
    const decoder = tokenizer.streamDecoder({ specials: 'show' })
    expect(decoder.push(256)).toBe('')
    expect(decoder.flush()).toBe('\uFFFD')
    expect(decoder.push(256)).toBe('')
    expect(decoder.push(257)).toBe('\uFFFD<|x|>')
    expect(decoder.push(32)).toBe('A')
  })

  test('keeps a byte order mark', () => {
    const tokenizer = createTokenizer(makeData())
    const ids = tokenizer.encode('\uFEFFa', { specials: 'plain' })
    expect(tokenizer.decode(ids, { specials: 'show' })).toBe('\uFEFFa')
  })

  test('stops at the end token and at control tokens that end a turn', () => {
    const data = makeData([
      ['<|im_end|>', 3],
      ['</s>', 1],
      ['<|end|>', 3],
      ['<|other|>', 3],
    ])
    expect(createTokenizer({ ...data, eosId: 259 }).stopIds).toEqual(new Set([259, 256, 258]))
    expect(createTokenizer(data).stopIds).toEqual(new Set([256, 258]))
  })

  test('names an id beyond the vocabulary', () => {
    const tokenizer = createTokenizer(makeData())
    expect(() => tokenizer.tokenText(256)).toThrow('token 256 of 256')
  })

  test('survives tokens with the names of object properties', () => {
    const names = ['__proto__', 'constructor']
    const tokenizer = createTokenizer(makeData(names.map((name) => [name, 3])))
    expect(tokenizer.encode(names.join(''), { specials: 'parse' })).toEqual([256, 257])
    const plain = tokenizer.encode(names.join(' '), { specials: 'plain' })
    expect(tokenizer.decode(plain, { specials: 'hide' })).toBe(names.join(' '))
  })

  test.each([
    ['"llama"', 'model-unsupported', { model: 'llama' }],
    ['"default"', 'model-unsupported', { pre: 'default' }],
    ['"constructor"', 'model-unsupported', { pre: 'constructor' }],
    ['256 tokens and 1 token types', 'model-format', { types: [1] }],
    ['Merge 0', 'model-format', { merges: ['a'] }],
    ['Merge 0', 'model-format', { merges: ['a b c'] }],
    ['makes no token', 'model-format', { merges: ['a b'] }],
    ['The end token is 256', 'model-format', { eosId: 256 }],
    ['only 1 of them differ', 'model-format', { tokens: new Array(256).fill('a') }],
  ])('refuses data where %s', (part, code, change) => {
    const act = () => createTokenizer({ ...makeData(), ...change })
    expect(act).toThrow(expect.objectContaining({ code, message: expect.stringContaining(part) }))
  })

  test('encodes a run of 20 000 equal characters in a moment', () => {
    const tokenizer = createTokenizer(
      makeData(
        [
          ['aa', 1],
          ['aaaa', 1],
        ],
        ['a a', 'aa aa'],
      ),
    )
    expect(tokenizer.encode('a'.repeat(20_000), { specials: 'plain' }).length).toBe(5_000)
  })
})

describe('breakUp', () => {
  const tokens = createSpecialTokens(
    new Map([
      ['abc', 1],
      ['bcd', 2],
      ['x', 3],
    ]),
  )

  test('breaks every spelling, overlapping ones and beginnings at the end included', () => {
    expect(tokens.breakUp('abcd', '*')).toBe('a*b*cd')
    expect(tokens.breakUp('..ab  ', '*')).toBe('..a*b*  ')
    expect(tokens.breakUp('x ab x', '*')).toBe('x ab x')
  })

  test('leaves no spelling in any text, alone or before another', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', 'c', 'd', ' '), maxLength: 12 })
    fc.assert(
      fc.property(text, text, (first, second) => {
        const joined = [first, second].map((part) => tokens.breakUp(part, '*'))
        expect(joined.join('').replaceAll('*', '')).toBe(first + second)
        for (const whole of [joined.join(''), joined.map((part) => part.trim()).join('')]) {
          expect(tokens.split(whole).filter(({ id }) => id !== undefined)).toEqual([])
        }
      }),
      { numRuns: 1000, seed: 3 },
    )
  })
})
