// Several GGUF files that together are one model: checked to belong to each other and to be in order.
import { EngineError } from '../errors.ts'
import type { ByteSource } from './byte-source.ts'
import { type GgufHeader, type GgufTensor, readGguf } from './gguf.ts'
import { MetadataReader } from './gguf-metadata.ts'

/** The headers of all shards, as one model. */
export interface GgufModel {
  sources: readonly ByteSource[]
  /** Metadata of the first shard, which speaks for all. */
  metadata: MetadataReader
  /** All tensors by name, in file order. */
  tensors: ReadonlyMap<string, GgufTensor>
  headerBytes: number
  sizeBytes: number
  /** Changes when any header or size does. */
  fingerprint: string
}

/**
 * Reads the headers of a model's files in the given order.
 * @throws what `readGguf` throws; `model-format` when shards are missing, swapped or of different models.
 */
export async function readGgufShards(
  sources: readonly ByteSource[],
  signal?: AbortSignal,
): Promise<GgufModel> {
  const headers: GgufHeader[] = []
  for (const [shard, source] of sources.entries()) headers.push(await readGguf(source, shard, signal))
  const first = headers[0]
  if (first === undefined) throw shardError('A model needs at least one file', [])
  const readers = headers.map(({ source, metadata }) => new MetadataReader(source.name, metadata))
  checkSplit(readers)
  const tensors = new Map<string, GgufTensor>()
  for (const { source, tensors: own } of headers) {
    for (const tensor of own) {
      const other = tensors.get(tensor.name)
      if (other !== undefined) {
        const names = [sources[other.shard]?.name ?? '', source.name]
        throw shardError(`Tensor ${tensor.name} is in two shards, ${names.join(' and ')}`, names)
      }
      tensors.set(tensor.name, tensor)
    }
  }
  const metadata = readers[0] as MetadataReader
  const stated = metadata.integer('split.tensors.count', 0, 2 ** 31)
  if (stated !== undefined && sources.length > 1 && stated !== tensors.size) {
    throw shardError(`The shards hold ${tensors.size} tensors where ${metadata.file} announces ${stated}`, [
      metadata.file,
    ])
  }
  return {
    sources,
    metadata,
    tensors,
    headerBytes: headers.reduce((sum, header) => sum + header.headerBytes, 0),
    sizeBytes: sources.reduce((sum, source) => sum + source.sizeBytes, 0),
    fingerprint: fingerprintOf(headers),
  }
}

function checkSplit(readers: readonly MetadataReader[]): void {
  const count = readers.length
  const architecture = readers[0]?.string('general.architecture')
  const total = readers[0]?.integer('split.tensors.count', 0, 2 ** 31)
  for (const [shard, reader] of readers.entries()) {
    const statedCount = reader.integer('split.count', 0, 65_535) ?? 1
    const number = reader.integer('split.no', 0, 65_535) ?? 0
    if (Math.max(statedCount, 1) !== count) {
      throw shardError(`${reader.file} is one of ${statedCount} shards, but ${count} are given`, [
        reader.file,
      ])
    }
    if (number !== shard) {
      const message = `${reader.file} is shard ${number + 1} of ${count} where shard ${shard + 1} belongs`
      throw shardError(message, [reader.file])
    }
    const own = reader.string('general.architecture')
    const ownTotal = reader.integer('split.tensors.count', 0, 2 ** 31)
    if ((own !== undefined && own !== architecture) || ownTotal !== total) {
      throw shardError(`${reader.file} belongs to another model than ${readers[0]?.file}`, [reader.file])
    }
  }
}

function shardError(message: string, files: string[]): EngineError {
  return new EngineError('model-format', `${message}.`, {
    hint: 'Give every shard of one model exactly once, under its own name.',
    details: { files },
  })
}

function fingerprintOf(headers: readonly GgufHeader[]): string {
  return headers
    .map(({ source, headerCrc32 }) => `${source.sizeBytes.toString(36)}-${headerCrc32.toString(36)}`)
    .join('.')
}
