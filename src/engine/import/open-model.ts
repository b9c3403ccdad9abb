// From addresses or files to everything the headers tell: no tensor is read here.
import { EngineError } from '../errors.ts'
import type { Blueprint } from '../model/blueprint.ts'
import type { ModelOrigin } from '../store/manifest.ts'
import { modelIdFrom } from '../store/model-id.ts'
import type { TokenizerData } from '../text/tokenizer-data.ts'
import { type ByteSource, openBlob } from './byte-source.ts'
import { type GgufModel, readGgufShards } from './gguf-shards.ts'
import { checkArchitecture, readMpoeLlama } from './mpoe-llama.ts'
import { type PlannedGroup, planGroups } from './pack-plan.ts'
import type { NetworkOptions } from './range-request.ts'
import { expandShardUrls, orderShards, stemOf } from './shard-names.ts'
import { readTokenizerMetadata } from './tokenizer-metadata.ts'
import { openUrl, resolveAddress } from './url-source.ts'

/** Where a model is: addresses (one shard stands for all) or its files in any order. */
export type ImportSource = { urls: readonly string[] } | { files: readonly Blob[] }

/** A model file whose headers have been read and checked. */
export interface OpenedModel {
  file: GgufModel
  blueprint: Blueprint
  tokenizer: TokenizerData
  groups: PlannedGroup[]
  /** From the file; plain text that may hold anything. */
  name: string
  description: string
  license: string
  defaultId: string
  origin: ModelOrigin
}

const LONGEST_NAME = 200
const LONGEST_TEXT = 4000

/** The addresses that `source` stands for, resolved and in order. */
export function resolveUrls(urls: readonly string[]): string[] {
  return expandShardUrls(urls.map((url) => resolveAddress(url).href))
}

/**
 * Opens all files of a model and reads their headers.
 * @throws `bad-request` for no file, `network`, `model-format`, `model-corrupt`,
 * `model-unsupported`, `AbortError`.
 */
export async function openModel(
  source: ImportSource,
  network: NetworkOptions = {},
  signal?: AbortSignal,
): Promise<OpenedModel> {
  const { sources, origin } = await openSources(source, network, signal)
  const file = await readGgufShards(sources, signal)
  const { metadata } = file
  // Judged first: another kind of model may well have no tokenizer.
  checkArchitecture(metadata)
  const tokenizer = readTokenizerMetadata(metadata)
  const blueprint = readMpoeLlama(file, tokenizer.tokens.length)
  const stem = stemOf(sources[0]?.name ?? '')
  const name = plainText(metadata.string('general.name') ?? '', LONGEST_NAME) || stem
  return {
    file,
    blueprint,
    tokenizer,
    groups: planGroups(blueprint, file.tensors),
    name,
    description: plainText(metadata.string('general.description') ?? '', LONGEST_TEXT),
    license: plainText(metadata.string('general.license') ?? '', LONGEST_NAME),
    defaultId: modelIdFrom(name) ?? modelIdFrom(stem) ?? 'model',
    origin,
  }
}

async function openSources(
  source: ImportSource,
  network: NetworkOptions,
  signal: AbortSignal | undefined,
): Promise<{ sources: ByteSource[]; origin: ModelOrigin }> {
  const count = 'urls' in source ? source.urls.length : source.files.length
  if (count === 0) {
    throw new EngineError('bad-request', 'There is no file to import.', {
      hint: 'Give at least one .gguf file or address.',
    })
  }
  if ('files' in source) {
    const files = orderShards(source.files, (file) => (file as Partial<File>).name ?? '')
    const sources = files.map((file, at) => openBlob(file, `file-${at + 1}`))
    return { sources, origin: { kind: 'files', names: sources.map(({ name }) => name) } }
  }
  const urls = resolveUrls(source.urls)
  const sources = await Promise.all(urls.map((url) => openUrl(url, network, signal)))
  return { sources, origin: { kind: 'url', urls } }
}

/** Text as it is, without control characters and no longer than `most`. */
function plainText(text: string, most: number): string {
  return text
    .replace(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]+/gu, ' ')
    .trim()
    .slice(0, most)
}
