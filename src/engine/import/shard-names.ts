// Names of sharded files, `-00001-of-00004.gguf`: from one to all, and into order. Pure.
import { EngineError } from '../errors.ts'

const SHARD = /^(.*)-(\d{5})-of-(\d{5})(\.gguf)$/i
const MOST_SHARDS = 512

interface ShardName {
  stem: string
  number: number
  count: number
  suffix: string
}

function parseShard(name: string): ShardName | undefined {
  const match = SHARD.exec(name)
  if (match === null) return undefined
  const [, stem = '', number, count, suffix = ''] = match
  return { stem, number: Number(number), count: Number(count), suffix }
}

function shardName({ stem, count, suffix }: ShardName, number: number): string {
  return `${stem}-${String(number).padStart(5, '0')}-of-${String(count).padStart(5, '0')}${suffix}`
}

function checkedShard(name: string): ShardName | undefined {
  const shard = parseShard(name)
  if (shard === undefined) return undefined
  if (shard.count >= 1 && shard.count <= MOST_SHARDS && shard.number >= 1 && shard.number <= shard.count) {
    return shard
  }
  throw new EngineError('model-format', `"${name}" names shard ${shard.number} of ${shard.count}.`, {
    hint: `A model has shards 1 to N, at most ${MOST_SHARDS}.`,
    details: { file: name },
  })
}

/** A file's name without shard and type suffix. */
export function stemOf(name: string): string {
  return parseShard(name)?.stem ?? name.replace(/\.gguf$/i, '')
}

/** The addresses of all shards when a single one is given; several are put in order and checked. */
export function expandShardUrls(urls: readonly string[]): string[] {
  const only = urls.length === 1 ? urls[0] : undefined
  if (only === undefined) return orderShards(urls, (url) => splitUrl(url).path)
  const { path, rest } = splitUrl(only)
  const shard = checkedShard(path)
  if (shard === undefined) return [only]
  return Array.from({ length: shard.count }, (_, at) => shardName(shard, at + 1) + rest)
}

function splitUrl(url: string): { path: string; rest: string } {
  const end = url.search(/[?#]/)
  return end < 0 ? { path: url, rest: '' } : { path: url.slice(0, end), rest: url.slice(end) }
}

/**
 * Puts shards in order by their names. Items without shard names keep the given order, since then only
 * the headers can tell.
 * @throws `model-format` for missing, doubled or mixed shards, with their names.
 */
export function orderShards<Item>(items: readonly Item[], nameOf: (item: Item) => string): Item[] {
  const named = items.map((item) => ({ item, name: nameOf(item), shard: checkedShard(nameOf(item)) }))
  const first = named[0]?.shard
  if (first === undefined && named.every(({ shard }) => shard === undefined)) return [...items]
  const byNumber = new Map<number, Item>()
  for (const { item, name, shard } of named) {
    if (
      first === undefined ||
      shard === undefined ||
      shard.stem !== first.stem ||
      shard.count !== first.count
    ) {
      throw shardError(`"${name}" does not belong to the same model as "${named[0]?.name}"`, [name])
    }
    if (byNumber.has(shard.number)) throw shardError(`Shard "${name}" is given twice`, [name])
    byNumber.set(shard.number, item)
  }
  const shape = first as ShardName
  const numbers = Array.from({ length: shape.count }, (_, at) => at + 1)
  const missing = numbers.filter((number) => !byNumber.has(number)).map((number) => shardName(shape, number))
  if (missing.length > 0) {
    throw shardError(
      `${missing.length} of ${shape.count} shards are missing: ${missing.slice(0, 4).join(', ')}`,
      missing,
    )
  }
  return numbers.map((number) => byNumber.get(number) as Item)
}

function shardError(message: string, names: string[]): EngineError {
  return new EngineError('model-format', `${message}.`, {
    hint: 'Give every shard of one model exactly once.',
    details: { files: names.slice(0, 32) },
  })
}
