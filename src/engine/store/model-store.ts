// Models at rest: manifests in one database, the records of each model in its own. It checks every
// byte it gives out, and knows neither what the bytes mean nor where they came from.
import { abortError, EngineError, type ErrorDetails } from '../errors.ts'
import type { StorageUsage } from '../protocol.ts'
import type { TokenizerData } from '../text/tokenizer-data.ts'
import { crc32 } from './crc32.ts'
import { createModelLocks, type ModelLocks } from './locks.ts'
import type { ModelManifest, RecordGroup, RecordPart } from './manifest.ts'
import { checkManifest, checkTokenizerData } from './manifest-check.ts'
import { checkModelId, isModelId } from './model-id.ts'
import { quotaError, RecordDatabase } from './record-database.ts'

const MANIFESTS = 'switchyard-manifests'
const MODEL_PREFIX = 'switchyard-model-'

export interface ModelStoreOptions {
  /** Default: Web Locks, or locks of this context alone. */
  locks?: ModelLocks
  /** Default: `navigator.storage`. */
  storage?: Pick<StorageManager, 'estimate' | 'persisted'> | undefined
}

/** A stretch of a group's bytes; the buffer belongs to whoever takes it. */
export interface GroupChunk {
  offsetBytes: number
  bytes: ArrayBuffer
}

/** Stored models. All methods throw `storage-missing` when IndexedDB is absent or fails. */
export class ModelStore {
  readonly locks: ModelLocks
  readonly #storage: ModelStoreOptions['storage']
  readonly #manifests = new RecordDatabase(MANIFESTS)
  readonly #models = new Map<string, RecordDatabase>()

  constructor(options: ModelStoreOptions = {}) {
    this.locks = options.locks ?? createModelLocks()
    this.#storage = options.storage ?? (globalThis.navigator as Navigator | undefined)?.storage
  }

  /** Complete models by name. One whose description is damaged is left out: see `unfinished`. */
  async list(): Promise<ModelManifest[]> {
    const ids = (await this.#manifests.keys()).filter(isModelId)
    const values = await this.#manifests.getMany(ids)
    const manifests: ModelManifest[] = []
    for (const [at, id] of ids.entries()) {
      try {
        manifests.push(checkManifest(id, values[at]))
      } catch (error) {
        if (!(error instanceof EngineError && error.code === 'model-corrupt')) throw error
      }
    }
    return manifests.sort((a, b) => a.name.localeCompare(b.name))
  }

  /** Ids that hold space without being complete models: imports to resume, or damaged descriptions. */
  async unfinished(): Promise<string[]> {
    const complete = new Set((await this.list()).map(({ id }) => id))
    const databases = (await globalThis.indexedDB?.databases?.()) ?? []
    const stored = databases.map(({ name }) => name ?? '').filter((name) => name.startsWith(MODEL_PREFIX))
    const ids = new Set([
      ...stored.map((name) => name.slice(MODEL_PREFIX.length)),
      ...(await this.#manifests.keys()),
    ])
    return [...ids].filter((id) => isModelId(id) && !complete.has(id)).sort()
  }

  /** A complete model's manifest. @throws `model-corrupt` when it is damaged. */
  async get(id: string): Promise<ModelManifest | undefined> {
    checkModelId(id)
    const [value] = await this.#manifests.getMany([id])
    return value === undefined ? undefined : checkManifest(id, value)
  }

  /** Makes a model visible: the last step of an import. */
  async put(manifest: ModelManifest): Promise<void> {
    checkModelId(manifest.id)
    await this.#manifests.setMany([[manifest.id, manifest]])
  }

  /** Deletes a model or what is left of its import. @throws `busy` while it is loaded or imported. */
  async delete(id: string): Promise<void> {
    checkModelId(id)
    await this.locks.whileDeleting(id, async () => {
      await this.#manifests.deleteMany([id])
      await this.records(id).destroy()
      this.#models.delete(id)
    })
  }

  /** The records of a model; using it creates its database. */
  records(id: string): RecordDatabase {
    const known = this.#models.get(id) ?? new RecordDatabase(MODEL_PREFIX + checkModelId(id))
    this.#models.set(id, known)
    return known
  }

  /**
   * The bytes of a group, part by part, each checked by length and CRC-32; the next part is read while
   * the current one is used. @throws `model-corrupt` with `details.record`; `AbortError`.
   */
  async *readGroup(manifest: ModelManifest, group: string, signal?: AbortSignal): AsyncGenerator<GroupChunk> {
    const { parts } = findGroup(manifest, group)
    const blobs = await this.records(manifest.id).getMany(parts.map(({ key }) => key))
    const read = (at: number) => {
      const part = parts[at]
      if (part === undefined) return undefined
      const reading = readPart(manifest.id, part, blobs[at])
      // When the reader stops early nobody awaits this one.
      reading.catch(() => undefined)
      return reading
    }
    let offsetBytes = 0
    let next = read(0)
    for (let at = 0; next !== undefined; at++) {
      if (signal?.aborted) throw abortError(signal)
      const bytes = await next
      next = read(at + 1)
      yield { offsetBytes, bytes }
      offsetBytes += (parts[at] as RecordPart).bytes
    }
  }

  /** @throws `model-corrupt` with `details.record`. */
  async readTokenizer(manifest: ModelManifest): Promise<TokenizerData> {
    const [blob] = await this.records(manifest.id).getMany([manifest.tokenizer.key])
    const bytes = await readPart(manifest.id, manifest.tokenizer, blob)
    return checkTokenizerData(manifest.id, manifest.tokenizer.key, new TextDecoder().decode(bytes))
  }

  /** Reads every record of a model and returns the keys of those that are missing or damaged. */
  async verify(manifest: ModelManifest, signal?: AbortSignal): Promise<string[]> {
    const damaged: string[] = []
    for (const parts of [[manifest.tokenizer], ...manifest.groups.map((group) => group.parts)]) {
      const blobs = await this.records(manifest.id).getMany(parts.map(({ key }) => key))
      for (const [at, part] of parts.entries()) {
        if (signal?.aborted) throw abortError(signal)
        await readPart(manifest.id, part, blobs[at]).catch((error: unknown) => {
          if (!(error instanceof EngineError && error.code === 'model-corrupt')) throw error
          damaged.push(part.key)
        })
      }
    }
    return damaged
  }

  /** What the site stores; `quotaBytes` is 0 when the browser does not tell. */
  async usage(): Promise<StorageUsage> {
    const models = (await this.list()).map(({ id, storedBytes }) => ({ id, storedBytes }))
    const estimate = await this.#storage?.estimate().catch(() => undefined)
    const storedBytes = models.reduce((sum, model) => sum + model.storedBytes, 0)
    return {
      usedBytes: estimate?.usage ?? storedBytes,
      quotaBytes: estimate?.quota ?? 0,
      isPersistent: (await this.#storage?.persisted().catch(() => false)) ?? false,
      models,
    }
  }

  /** @throws `storage-quota` when the browser says that fewer than `neededBytes` are free. */
  async checkRoom(id: string, neededBytes: number): Promise<void> {
    const freeBytes = await this.freeBytes()
    if (freeBytes === undefined || freeBytes >= neededBytes) return
    throw quotaError(`The model "${id}"`, neededBytes, freeBytes)
  }

  /** Bytes the browser would still store, when it tells. */
  async freeBytes(): Promise<number | undefined> {
    const estimate = await this.#storage?.estimate().catch(() => undefined)
    if (estimate?.quota === undefined) return undefined
    return Math.max(0, estimate.quota - (estimate.usage ?? 0))
  }
}

/** A group of a manifest. @throws `model-corrupt` when it is not there. */
export function findGroup(manifest: ModelManifest, name: string): RecordGroup {
  const group = manifest.groups.find((candidate) => candidate.name === name)
  if (group !== undefined) return group
  throw corrupt(manifest.id, `resident/${name}`, 'is not in the stored description', {})
}

async function readPart(id: string, part: RecordPart, value: unknown): Promise<ArrayBuffer> {
  const { key, bytes: expectedBytes } = part
  if (!(value instanceof Blob)) throw corrupt(id, key, 'is missing', { expectedBytes })
  if (value.size !== expectedBytes) {
    throw corrupt(id, key, `has ${value.size} of ${expectedBytes} bytes`, {
      expectedBytes,
      bytes: value.size,
    })
  }
  const bytes = await value.arrayBuffer().catch((cause: unknown) => {
    throw corrupt(id, key, 'cannot be read', { expectedBytes }, cause)
  })
  const sum = crc32(new Uint8Array(bytes))
  if (sum === part.crc32) return bytes
  const details = { expectedBytes, expectedCrc32: part.crc32, crc32: sum }
  throw corrupt(id, key, `has checksum ${sum} instead of ${part.crc32}`, details)
}

function corrupt(
  model: string,
  record: string,
  what: string,
  details: ErrorDetails,
  cause?: unknown,
): EngineError {
  return new EngineError('model-corrupt', `Record ${record} of "${model}" ${what}.`, {
    hint: 'The record can be fetched again from its source; else delete the model and import it again.',
    details: { model, record, ...details },
    cause,
  })
}
