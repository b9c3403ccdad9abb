// Tokenizer metadata of a GGUF file to `TokenizerData`, every list and id checked. Pure.
import type { TokenizerData } from '../text/tokenizer-data.ts'
import type { MetadataReader } from './gguf-metadata.ts'

const PREFIX = 'tokenizer.ggml'
const LEAST_TYPE = 1
const MOST_TYPE = 6

/**
 * Reads `tokenizer.ggml.*` and `tokenizer.chat_template`. Whether the engine knows the tokenizer's kind
 * and pre-tokenizer is the tokenizer's own question.
 * @throws `model-format` for lists of unequal length, ids outside the vocabulary or unsplit merges.
 */
export function readTokenizerMetadata(meta: MetadataReader): TokenizerData {
  const tokens = [...meta.strings(`${PREFIX}.tokens`)]
  if (tokens.length === 0) throw meta.error(`${PREFIX}.tokens`, 'is empty')
  return {
    model: meta.requiredString(`${PREFIX}.model`),
    pre: meta.string(`${PREFIX}.pre`) ?? 'default',
    tokens,
    types: readTypes(meta, tokens.length),
    merges: readMerges(meta),
    ...readIds(meta, tokens.length),
    addBos: meta.boolean(`${PREFIX}.add_bos_token`) ?? false,
    addSpacePrefix: meta.boolean(`${PREFIX}.add_space_prefix`) ?? false,
    ...optional('chatTemplate', meta.string('tokenizer.chat_template')),
  }
}

function optional<Name extends string, Value>(
  name: Name,
  value: Value | undefined,
): { [key in Name]?: Value } {
  return value === undefined ? {} : ({ [name]: value } as { [key in Name]?: Value })
}

function readTypes(meta: MetadataReader, count: number): number[] {
  const name = `${PREFIX}.token_type`
  const types = meta.integers(name)
  if (types.length !== count) throw meta.error(name, `has ${types.length} entries for ${count} tokens`)
  const wrong = types.find((type) => type < LEAST_TYPE || type > MOST_TYPE)
  if (wrong !== undefined) throw meta.error(name, `has the unknown token type ${wrong}`)
  return [...types]
}

function readMerges(meta: MetadataReader): string[] {
  const name = `${PREFIX}.merges`
  if (!meta.has(name)) return []
  const merges = [...meta.strings(name)]
  for (const [at, merge] of merges.entries()) {
    // The two halves are separated by the one space that follows the first character or more.
    const space = merge.indexOf(' ', 1)
    if (space < 0 || space === merge.length - 1) throw meta.error(name, `has no pair at entry ${at}`)
  }
  return merges
}

function readIds(meta: MetadataReader, count: number): Partial<TokenizerData> {
  const id = (name: string) => meta.integer(`${PREFIX}.${name}_token_id`, 0, count - 1)
  return {
    ...optional('bosId', id('bos')),
    ...optional('eosId', id('eos')),
    ...optional('unknownId', id('unknown')),
    ...optional('paddingId', id('padding')),
  }
}
