// Reads the header of one GGUF file (versions 2 and 3): metadata and tensor ranges, all of it checked.
import { EngineError } from '../errors.ts'
import { crc32 } from '../store/crc32.ts'
import type { ByteSource } from './byte-source.ts'
import { GgufCursor } from './gguf-cursor.ts'
import { type Metadata, readMetadata } from './gguf-metadata.ts'
import { type GgmlType, ggmlType } from './gguf-types.ts'

const MAGIC = 0x46554747
const MOST_TENSORS = 65_536
const MOST_METADATA = 65_536
const LONGEST_TENSOR_NAME = 256
const MOST_DIMENSIONS = 4
const DEFAULT_ALIGNMENT = 32
const LARGEST_ALIGNMENT = 2 ** 20

/** A tensor of a file. */
export interface GgufTensor {
  name: string
  type: GgmlType
  /** Sizes, the fastest first: a matrix is [columns, rows]. */
  dims: number[]
  /** Index of the shard that holds it. */
  shard: number
  /** From the start of the file. */
  offsetBytes: number
  bytes: number
}

export interface GgufHeader {
  source: ByteSource
  version: number
  metadata: Metadata
  tensors: GgufTensor[]
  headerBytes: number
  headerCrc32: number
}

/**
 * Reads and checks a header; no tensor data is read beyond the last window.
 * @throws `model-format` for what is no sound GGUF, `model-corrupt` for a file that ends too early,
 * `model-unsupported` for an unknown tensor type or version; what the source throws.
 */
export async function readGguf(source: ByteSource, shard = 0, signal?: AbortSignal): Promise<GgufHeader> {
  const cursor = new GgufCursor(source, signal)
  const magic = await cursor.u32('the magic number')
  if (magic !== MAGIC) throw cursor.malformed(`it starts with 0x${magic.toString(16)} instead of "GGUF"`)
  const version = await cursor.u32('the version')
  if (version !== 2 && version !== 3) throw unsupportedVersion(source.name, version)
  const tensorCount = await cursor.size('the tensor count', MOST_TENSORS)
  const metadataCount = await cursor.size('the metadata count', MOST_METADATA)
  const metadata = await readMetadata(cursor, metadataCount)
  const infos: TensorInfo[] = []
  for (let at = 0; at < tensorCount; at++) infos.push(await readTensorInfo(cursor))
  const alignment = alignmentOf(cursor, metadata)
  const dataStart = Math.ceil(cursor.offsetBytes / alignment) * alignment
  const tensors = infos.map((info) => placeTensor(source, info, shard, dataStart, alignment))
  checkNames(cursor, tensors)
  checkOverlap(cursor, tensors)
  const header = cursor.takenBytes
  return { source, version, metadata, tensors, headerBytes: header.byteLength, headerCrc32: crc32(header) }
}

function unsupportedVersion(file: string, version: number): EngineError {
  return new EngineError(
    'model-unsupported',
    `${file} is GGUF version ${version}; versions 2 and 3 are read.`,
    {
      hint: version > 0xffff ? 'The file is big-endian. Convert it.' : 'Convert the file to GGUF version 3.',
      details: { file, version },
    },
  )
}

interface TensorInfo {
  name: string
  typeId: number
  dims: number[]
  offset: number
}

async function readTensorInfo(cursor: GgufCursor): Promise<TensorInfo> {
  const name = await cursor.string('a tensor name', LONGEST_TENSOR_NAME)
  const dimensions = await cursor.u32(`the dimensions of tensor ${name}`)
  if (name === '') throw cursor.malformed('a tensor has no name')
  if (dimensions < 1 || dimensions > MOST_DIMENSIONS) {
    throw cursor.malformed(`tensor ${name} has ${dimensions} dimensions`)
  }
  const dims: number[] = []
  for (let at = 0; at < dimensions; at++) {
    const size = await cursor.size(`a size of tensor ${name}`, Number.MAX_SAFE_INTEGER)
    if (size < 1) throw cursor.malformed(`tensor ${name} has a size of ${size}`)
    dims.push(size)
  }
  const typeId = await cursor.u32(`the type of tensor ${name}`)
  const offset = await cursor.size(`the offset of tensor ${name}`, Number.MAX_SAFE_INTEGER)
  return { name, typeId, dims, offset }
}

function alignmentOf(cursor: GgufCursor, metadata: Metadata): number {
  const value = metadata.get('general.alignment') ?? DEFAULT_ALIGNMENT
  const isPowerOfTwo =
    typeof value === 'number' &&
    value >= 1 &&
    value <= LARGEST_ALIGNMENT &&
    Number.isInteger(Math.log2(value))
  if (!isPowerOfTwo) throw cursor.malformed(`general.alignment is ${String(value)}, not a power of two`)
  return value
}

function placeTensor(
  source: ByteSource,
  { name, typeId, dims, offset }: TensorInfo,
  shard: number,
  dataStart: number,
  alignment: number,
): GgufTensor {
  const details = { file: source.name, tensor: name }
  const type = ggmlType(typeId)
  if (type === undefined) {
    throw new EngineError(
      'model-unsupported',
      `${source.name}: tensor ${name} has the unknown type ${typeId}.`,
      {
        hint: 'The file uses a quantization that this engine does not know.',
        details: { ...details, type: typeId },
      },
    )
  }
  const malformed = (what: string) =>
    new EngineError('model-format', `${source.name}: tensor ${name} ${what}.`, {
      hint: 'The file is no GGUF file that this engine can trust.',
      details,
    })
  const numbers = dims.reduce((product, size) => product * size, 1)
  if (!Number.isSafeInteger(numbers))
    throw malformed(`has ${dims.join(' × ')} numbers, more than can be counted`)
  if ((dims[0] as number) % type.blockNumbers !== 0) {
    throw malformed(
      `has rows of ${dims[0]} numbers, not a multiple of the ${type.blockNumbers} of a ${type.name} block`,
    )
  }
  if (offset % alignment !== 0) throw malformed(`starts at ${offset}, not a multiple of ${alignment}`)
  const bytes = (numbers / type.blockNumbers) * type.blockBytes
  const offsetBytes = dataStart + offset
  if (
    !Number.isSafeInteger(bytes) ||
    !Number.isSafeInteger(offsetBytes) ||
    offsetBytes + bytes > source.sizeBytes
  ) {
    const place = `bytes ${offsetBytes} to ${offsetBytes + bytes}`
    throw new EngineError(
      'model-corrupt',
      `${source.name}: tensor ${name} lies at ${place}, beyond the file's end at ${source.sizeBytes}.`,
      {
        hint: 'The file is incomplete or damaged. Download it again.',
        details: { ...details, offsetBytes, bytes, sizeBytes: source.sizeBytes },
      },
    )
  }
  return { name, type, dims, shard, offsetBytes, bytes }
}

function checkNames(cursor: GgufCursor, tensors: readonly GgufTensor[]): void {
  const names = new Set<string>()
  for (const { name } of tensors) {
    if (names.has(name)) throw cursor.malformed(`tensor ${name} is there twice`)
    names.add(name)
  }
}

function checkOverlap(cursor: GgufCursor, tensors: readonly GgufTensor[]): void {
  const sorted = [...tensors].sort((a, b) => a.offsetBytes - b.offsetBytes)
  for (let at = 1; at < sorted.length; at++) {
    const before = sorted[at - 1] as GgufTensor
    const tensor = sorted[at] as GgufTensor
    if (before.offsetBytes + before.bytes > tensor.offsetBytes) {
      throw cursor.malformed(`tensors ${before.name} and ${tensor.name} overlap`)
    }
  }
}
