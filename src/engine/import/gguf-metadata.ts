// GGUF metadata: typed values into a Map, and typed questions to it. Nothing in it is trusted.
import { EngineError } from '../errors.ts'
import type { GgufCursor } from './gguf-cursor.ts'

export type MetadataScalar = string | number | bigint | boolean
export type MetadataValue = MetadataScalar | readonly MetadataScalar[]
/** A Map, because a plain object would let a key like `__proto__` in. */
export type Metadata = Map<string, MetadataValue>

const LONGEST_KEY = 65_535
const LONGEST_STRING = 4 * 2 ** 20
const LONGEST_ARRAY = 2 ** 22
const STRING = 8
const ARRAY = 9

interface ScalarType {
  bytes: number
  get(view: DataView, at: number): MetadataScalar
}

const SCALARS = new Map<number, ScalarType>([
  [0, { bytes: 1, get: (view, at) => view.getUint8(at) }],
  [1, { bytes: 1, get: (view, at) => view.getInt8(at) }],
  [2, { bytes: 2, get: (view, at) => view.getUint16(at, true) }],
  [3, { bytes: 2, get: (view, at) => view.getInt16(at, true) }],
  [4, { bytes: 4, get: (view, at) => view.getUint32(at, true) }],
  [5, { bytes: 4, get: (view, at) => view.getInt32(at, true) }],
  [6, { bytes: 4, get: (view, at) => view.getFloat32(at, true) }],
  [7, { bytes: 1, get: (view, at) => view.getUint8(at) !== 0 }],
  [10, { bytes: 8, get: (view, at) => safeNumber(view.getBigUint64(at, true)) }],
  [11, { bytes: 8, get: (view, at) => safeNumber(view.getBigInt64(at, true)) }],
  [12, { bytes: 8, get: (view, at) => view.getFloat64(at, true) }],
])

/** A 64-bit integer as a number where that is exact; a key nobody asks for may hold any value. */
function safeNumber(value: bigint): number | bigint {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value
}

/** Reads `count` keys with their values. */
export async function readMetadata(cursor: GgufCursor, count: number): Promise<Metadata> {
  const metadata: Metadata = new Map()
  for (let at = 0; at < count; at++) {
    const key = await cursor.string('a metadata key', LONGEST_KEY)
    if (metadata.has(key)) throw cursor.malformed(`metadata key "${key.slice(0, 80)}" is there twice`)
    const type = await cursor.u32(`the type of ${key}`)
    metadata.set(key, type === ARRAY ? await readArray(cursor, key) : await readScalar(cursor, key, type))
  }
  return metadata
}

async function readScalar(cursor: GgufCursor, key: string, type: number): Promise<MetadataScalar> {
  if (type === STRING) return cursor.string(key, LONGEST_STRING)
  const scalar = SCALARS.get(type)
  if (scalar === undefined)
    throw cursor.malformed(`metadata key "${key.slice(0, 80)}" has the unknown type ${type}`)
  await cursor.need(scalar.bytes, key)
  return cursor.take(scalar.bytes, scalar.get)
}

async function readArray(cursor: GgufCursor, key: string): Promise<readonly MetadataScalar[]> {
  const type = await cursor.u32(`the item type of ${key}`)
  const count = await cursor.size(`the length of ${key}`, LONGEST_ARRAY)
  const scalar = SCALARS.get(type)
  if (type !== STRING && scalar === undefined) {
    throw cursor.malformed(`metadata key "${key.slice(0, 80)}" has items of the unknown type ${type}`)
  }
  // The smallest possible size is asked for first, so that a false count cannot make a long loop.
  await cursor.need(count * (scalar?.bytes ?? 0), key)
  if (scalar === undefined && count * 8 > cursor.restBytes) await cursor.need(count * 8, key)
  const values: MetadataScalar[] = []
  for (let at = 0; at < count; at++) {
    values.push(
      scalar === undefined ? await cursor.string(key, LONGEST_STRING) : cursor.take(scalar.bytes, scalar.get),
    )
  }
  return values
}

/** A wrong or missing metadata value of file `file`. */
export function metadataError(file: string, key: string, what: string): EngineError {
  return new EngineError('model-format', `${file}: metadata ${key} ${what}.`, {
    hint: 'The file was written wrongly. Convert the model again.',
    details: { file, key },
  })
}

/** Typed access to one file's metadata; every failure names the key. */
export class MetadataReader {
  readonly file: string
  readonly metadata: Metadata

  constructor(file: string, metadata: Metadata) {
    this.file = file
    this.metadata = metadata
  }

  has(key: string): boolean {
    return this.metadata.has(key)
  }

  error(key: string, what: string): EngineError {
    return metadataError(this.file, key, what)
  }

  string(key: string): string | undefined {
    const value = this.metadata.get(key)
    if (value === undefined || typeof value === 'string') return value
    throw this.error(key, 'is not text')
  }

  requiredString(key: string): string {
    return this.string(key) ?? this.#missing(key)
  }

  boolean(key: string): boolean | undefined {
    const value = this.metadata.get(key)
    if (value === undefined || typeof value === 'boolean') return value
    throw this.error(key, 'is not true or false')
  }

  /** A whole number from `least` to `most`. */
  integer(key: string, least: number, most: number): number | undefined {
    const value = this.metadata.get(key)
    if (value === undefined) return undefined
    if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) return value
    throw this.error(key, `is ${describe(value)}, not a whole number from ${least} to ${most}`)
  }

  requiredInteger(key: string, least: number, most: number): number {
    return this.integer(key, least, most) ?? this.#missing(key)
  }

  /** A finite number above zero. */
  positive(key: string): number | undefined {
    const value = this.metadata.get(key)
    if (value === undefined) return undefined
    if (typeof value === 'number' && Number.isFinite(value) && value > 0) return value
    throw this.error(key, `is ${describe(value)}, not a positive number`)
  }

  requiredPositive(key: string): number {
    return this.positive(key) ?? this.#missing(key)
  }

  strings(key: string): readonly string[] {
    const value = this.metadata.get(key) ?? this.#missing(key)
    if (Array.isArray(value) && value.every((item) => typeof item === 'string')) return value as string[]
    throw this.error(key, 'is not a list of texts')
  }

  integers(key: string): readonly number[] {
    const value = this.metadata.get(key) ?? this.#missing(key)
    if (Array.isArray(value) && value.every((item) => Number.isInteger(item))) return value as number[]
    throw this.error(key, 'is not a list of whole numbers')
  }

  #missing(key: string): never {
    throw this.error(key, 'is missing')
  }
}

function describe(value: MetadataValue): string {
  if (typeof value === 'object') return `a list of ${value.length}`
  return typeof value === 'string' ? `"${value.slice(0, 40)}"` : String(value)
}
