// Text ↔ token ids from a model file's own metadata. Byte-pair merging is the tokenizer library's; special
// tokens, decoding and streaming are done here, on bytes, so that no character is ever cut in two.
import { Tokenizer as Library } from '@huggingface/tokenizers'
import { EngineError, internalError } from '../errors.ts'
import { describeBytes, spellingToBytes } from './byte-level.ts'
import { createSpecialTokens, type SpecialTokens } from './special-tokens.ts'
import type { TokenizerData } from './tokenizer-data.ts'

export interface EncodeOptions {
  /** `parse`: special tokens spelled in the text become themselves. `plain`: they are ordinary text. */
  specials: 'parse' | 'plain'
}

export interface DecodeOptions {
  /** Control tokens by name, or not at all. */
  specials: 'show' | 'hide'
}

/** Decodes a growing answer token by token. */
export interface StreamDecoder {
  /** The text that is complete with token `id`; bytes of an unfinished character are held back. */
  push(id: number): string
  /** What was held back, as U+FFFD, at the end. */
  flush(): string
}

export interface Tokenizer {
  readonly vocabularySize: number
  /** Tokens that end an answer. */
  readonly stopIds: ReadonlySet<number>
  /** Nothing is added: no token at the beginning, no space. Bytes that the vocabulary lacks are left out. */
  encode(text: string, options: EncodeOptions): number[]
  /** Bytes that are no UTF-8 become U+FFFD. */
  decode(ids: readonly number[], options: DecodeOptions): string
  /** One token for display: control tokens by name, bytes that are no whole character as `<0xF0>`. */
  tokenText(id: number): string
  isControl(id: number): boolean
  streamDecoder(options: DecodeOptions): StreamDecoder
  /** Tokens of control type, for texts that must not contain them. */
  readonly controlTokens: SpecialTokens
}

/** Ways to cut text before merging, by `tokenizer.ggml.pre`: patterns whose matches stand alone. */
const PRE_PATTERNS: Record<string, readonly string[]> = {
  smollm: ['\\p{N}', "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"],
}

const UNKNOWN = 2
const CONTROL = 3
const USER_DEFINED = 4

/** Names of tokens that end a turn or a text, besides the file's own end-of-sequence token. */
const STOP_NAMES = [
  '<|im_end|>',
  '<|endoftext|>',
  '<|end_of_text|>',
  '<|eot_id|>',
  '<|eom_id|>',
  '<|end|>',
  '<|return|>',
  '<end_of_turn>',
  '</s>',
]

/** What a tokenizer is made of, checked; throws as `createTokenizer` does, at a fraction of its cost. */
export function readTokenizer(data: TokenizerData) {
  const patterns = findPatterns(data)
  const ids = indexTokens(data)
  return { patterns, ids, merges: splitMerges(data, ids) }
}

/**
 * A tokenizer from a file's metadata, which is checked first.
 * Throws `model-unsupported` for an unknown kind of model or pre-tokenizer, `model-format` for data that
 * contradicts itself.
 */
export function createTokenizer(data: TokenizerData): Tokenizer {
  const { tokens, types } = data
  const { patterns, ids, merges } = readTokenizer(data)
  const library = createLibrary(ids, merges, patterns)
  const isControl = (id: number) => types[id] === CONTROL || types[id] === UNKNOWN
  const isUserDefined = (id: number) => types[id] === USER_DEFINED
  const special = [...tokens.keys()].filter((id) => isUserDefined(id) || isControl(id))
  const matcher = (chosen: number[]) =>
    createSpecialTokens(new Map(chosen.map((id) => [tokens[id] ?? '', id])))
  const userTokens = matcher(special.filter(isUserDefined))
  const allTokens = matcher(special)

  function tokenBytes(id: number): Uint8Array {
    const spelling = tokens[id]
    if (spelling === undefined) throw internalError('tokenizer', `token ${id} of ${tokens.length}`)
    return isUserDefined(id) || isControl(id) ? new TextEncoder().encode(spelling) : spellingToBytes(spelling)
  }

  function streamDecoder(options: DecodeOptions): StreamDecoder {
    const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
    return {
      push(id) {
        if (!isControl(id)) return decoder.decode(tokenBytes(id), { stream: true })
        return decoder.decode() + (options.specials === 'show' ? (tokens[id] ?? '') : '')
      },
      flush: () => decoder.decode(),
    }
  }

  return {
    vocabularySize: tokens.length,
    stopIds: findStops(data, ids, isControl),
    controlTokens: matcher(special.filter(isControl)),
    isControl,
    streamDecoder,
    encode(text, options) {
      const matched = options.specials === 'parse' ? allTokens : userTokens
      const encodePlain = (plain: string) => library.encode(plain, { add_special_tokens: false }).ids
      return matched.split(text).flatMap((piece) => piece.id ?? encodePlain(piece.text))
    },
    decode(decoded, options) {
      const stream = streamDecoder(options)
      return decoded.map((id) => stream.push(id)).join('') + stream.flush()
    },
    tokenText: (id) => describeBytes(tokenBytes(id)),
  }
}

function findPatterns({ model, pre }: TokenizerData): readonly string[] {
  if (model !== 'gpt2') {
    throw new EngineError(
      'model-unsupported',
      `The tokenizer model ${JSON.stringify(model)} is not supported.`,
      {
        hint: 'Supported: gpt2 (byte-level byte pairs).',
        details: { model },
      },
    )
  }
  const patterns = Object.hasOwn(PRE_PATTERNS, pre) ? PRE_PATTERNS[pre] : undefined
  if (patterns === undefined) {
    throw new EngineError('model-unsupported', `The pre-tokenizer ${JSON.stringify(pre)} is not supported.`, {
      hint: `Supported: ${Object.keys(PRE_PATTERNS).join(', ')}.`,
      details: { pre },
    })
  }
  return patterns
}

function indexTokens({ tokens, types }: TokenizerData): Map<string, number> {
  if (types.length !== tokens.length) {
    throw badData(`The tokenizer has ${tokens.length} tokens and ${types.length} token types.`)
  }
  const ids = new Map(tokens.map((token, id) => [token, id]))
  if (ids.size !== tokens.length) {
    throw badData(`The tokenizer has ${tokens.length} tokens, and only ${ids.size} of them differ.`)
  }
  return ids
}

function splitMerges({ merges }: TokenizerData, ids: ReadonlyMap<string, number>): [string, string][] {
  return merges.map((merge, rank) => {
    const [left = '', right = '', ...rest] = merge.split(' ')
    if (left === '' || right === '' || rest.length > 0 || !ids.has(left + right)) {
      throw badData(`Merge ${rank} of the tokenizer, ${JSON.stringify(merge.slice(0, 80))}, makes no token.`)
    }
    return [left, right]
  })
}

function findStops(
  { eosId, tokens }: TokenizerData,
  ids: ReadonlyMap<string, number>,
  isControl: (id: number) => boolean,
): ReadonlySet<number> {
  const stops = new Set<number>()
  if (eosId !== undefined) {
    if (!Number.isInteger(eosId) || eosId < 0 || eosId >= tokens.length) {
      throw badData(`The end token is ${eosId}, beyond the ${tokens.length} tokens.`)
    }
    stops.add(eosId)
  }
  for (const name of STOP_NAMES) {
    const id = ids.get(name)
    if (id !== undefined && isControl(id)) stops.add(id)
  }
  return stops
}

/**
 * The library's own digit and byte-level patterns are JavaScript's `\d` and `\s`, which differ from the
 * originals on digits outside ASCII and on U+FEFF and U+0085; given as patterns, it translates them exactly.
 */
function createLibrary(
  ids: ReadonlyMap<string, number>,
  merges: [string, string][],
  patterns: readonly string[],
): Library {
  const splits = patterns.map((Regex) => ({
    type: 'Split',
    pattern: { Regex },
    behavior: 'Isolated',
    invert: false,
  }))
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false }
  const json = {
    version: '1.0',
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: { type: 'Sequence', pretokenizers: [...splits, byteLevel] },
    post_processor: null,
    decoder: null,
    model: { type: 'BPE', vocab: Object.fromEntries(ids), merges },
  }
  return new Library(json, {})
}

function badData(message: string): EngineError {
  return new EngineError('model-format', message, {
    hint: 'The model file is damaged or was converted wrongly; get it again.',
  })
}
