// What --model names: the default model, files on disk (served on the loopback address) or an address.
import { createHash } from 'node:crypto'
import { existsSync, statSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { expandShardUrls, stemOf } from '../../src/engine/import/shard-names.ts'
import { rootFolder } from '../setup.mjs'
import { BadInput } from './bad-input.ts'

/** A model to load by id, with the addresses to import it from when it is not stored. */
export interface ModelTarget {
  id: string
  urls: string[]
  /** Stored models whose id begins so are earlier contents of the same source. */
  staleIdPrefix: string | undefined
}

/** Files to serve: path on the server to path on disk. */
export type ServedFiles = Map<string, string>

export const DEFAULT_MODEL_ID = 'smollm2-mpoe-8x135m'

/**
 * Resolves `--model`.
 * @throws BadInput when a file is not there or is not a .gguf.
 */
export function resolveModel(model: string | undefined): { target: ModelTarget; files: ServedFiles } {
  if (model === undefined || model === 'default' || model === DEFAULT_MODEL_ID) {
    const folder = join(rootFolder, 'public', 'models', DEFAULT_MODEL_ID)
    const { urls, files } = serveShards(join(folder, `${DEFAULT_MODEL_ID}-00001-of-00004.gguf`))
    return { target: { id: DEFAULT_MODEL_ID, urls, staleIdPrefix: undefined }, files }
  }
  if (/^https?:\/\//i.test(model)) return { target: addressTarget(model), files: new Map() }
  if (!/\.gguf$/i.test(model)) {
    throw new BadInput(
      `--model is ${DEFAULT_MODEL_ID}, a path that ends in .gguf, or an http address, not "${model}".`,
    )
  }
  const { urls, files } = serveShards(resolve(model))
  const identity = `${idStem(model)}-${digest(resolve(model))}-`
  const contents = [...files.values()].map((file) => `${statSync(file).size}:${statSync(file).mtimeMs}`)
  return { target: { id: identity + digest(contents.join()), urls, staleIdPrefix: identity }, files }
}

function addressTarget(address: string): ModelTarget {
  if (!URL.canParse(address)) throw new BadInput(`--model ${address} is not an address.`)
  const path = new URL(address).pathname
  const id = `${idStem(path)}-${digest(address)}`
  return { id, urls: expandShardUrls([address]), staleIdPrefix: undefined }
}

function serveShards(first: string): { urls: string[]; files: ServedFiles } {
  const files: ServedFiles = new Map()
  const urls = expandShardUrls([basename(first)]).map((name) => {
    const file = join(dirname(first), name)
    if (!existsSync(file) || !statSync(file).isFile()) throw new BadInput(`There is no file ${file}.`)
    const path = `/model-files/${encodeURIComponent(name)}`
    files.set(path, file)
    return path
  })
  return { urls, files }
}

function idStem(path: string): string {
  const stem = stemOf(basename(path))
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
  return stem.replaceAll(/^-+|-+$/g, '').slice(0, 40) || 'model'
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 8)
}
