// The import: headers, then group after group read, packed and stored, then the manifest that makes the
// model visible. It may be stopped at any point and goes on later; nothing is visible before the end.
import { abortError, EngineError } from '../errors.ts'
import type { LoadProgress } from '../protocol.ts'
import { crc32 } from '../store/crc32.ts'
import type { ModelManifest, RecordGroup, RecordPart } from '../store/manifest.ts'
import { checkModelId } from '../store/model-id.ts'
import type { ModelStore } from '../store/model-store.ts'
import { quotaError } from '../store/record-database.ts'
import { ImportJournal } from './import-journal.ts'
import { ImportProgress } from './import-progress.ts'
import { type ImportSource, type OpenedModel, openModel, resolveUrls } from './open-model.ts'
import { packGroup, partCount } from './pack-group.ts'
import { type PlannedGroup, sourcesOf } from './pack-plan.ts'
import type { NetworkOptions } from './range-request.ts'

export interface ImportOptions {
  source: ImportSource
  store: ModelStore
  /** Default: made from the model's own name, or its file name. */
  id?: string | undefined
  onProgress?: ((progress: LoadProgress) => void) | undefined
  signal?: AbortSignal | undefined
  network?: NetworkOptions | undefined
  /** Judges the headers before anything else is read; throws to refuse the model. */
  check?: ((model: OpenedModel) => void) | undefined
}

const TOKENIZER_KEY = 'tokenizer'

/**
 * Imports a model, or returns the stored one when it came from the same addresses (without a request) or
 * has the same headers.
 * @throws `network`, `model-format`, `model-corrupt`, `model-unsupported`, `storage-quota`,
 * `storage-missing`; `bad-request` for a wrong id, or one that another model has; `AbortError` at once.
 */
export function importModel(options: ImportOptions): Promise<ModelManifest> {
  return untilAborted(runImport(options), options.signal)
}

async function runImport(options: ImportOptions): Promise<ModelManifest> {
  const { source, store, signal, onProgress, network } = options
  if (signal?.aborted) throw abortError(signal)
  if (options.id !== undefined) checkModelId(options.id)
  const stored = await findByOrigin(options)
  if (stored !== undefined) return stored
  const model = await openModel(source, network, signal)
  options.check?.(model)
  const id = options.id ?? model.defaultId
  const tokenizer = new TextEncoder().encode(JSON.stringify(model.tokenizer))
  const storedBytes = model.groups.reduce((sum, group) => sum + group.bytes, tokenizer.byteLength)
  const progress = new ImportProgress(onProgress, model.file.sizeBytes, storedBytes)
  const work = () => storeModel({ id, model, tokenizer, storedBytes, store, progress, signal })
  return store.locks.whileImporting(id, work, { onWaiting: () => progress.waiting(), signal })
}

async function findByOrigin({ source, store, id }: ImportOptions): Promise<ModelManifest | undefined> {
  if (!('urls' in source)) return undefined
  const wanted = resolveUrls(source.urls).join('\n')
  return (await store.list()).find(
    (manifest) =>
      (id === undefined || manifest.id === id) &&
      manifest.origin.kind === 'url' &&
      manifest.origin.urls.join('\n') === wanted,
  )
}

interface StoreJob {
  id: string
  model: OpenedModel
  tokenizer: Uint8Array<ArrayBuffer>
  storedBytes: number
  store: ModelStore
  progress: ImportProgress
  signal: AbortSignal | undefined
}

async function storeModel(job: StoreJob): Promise<ModelManifest> {
  const { id, model, store, signal } = job
  if (signal?.aborted) throw abortError(signal)
  const earlier = await findComplete(store, id, model.file.fingerprint)
  if (earlier !== undefined) return earlier
  const journal = await ImportJournal.open(store.records(id), model)
  try {
    return await storeRest(job, journal)
  } catch (error) {
    // With no group complete there is nothing to go on from, only space to give back.
    if (journal.storedBytes === 0)
      await store
        .records(id)
        .destroy()
        .catch(() => undefined)
    throw error
  }
}

async function storeRest(job: StoreJob, journal: ImportJournal): Promise<ModelManifest> {
  const { id, model, tokenizer, storedBytes, store, progress, signal } = job
  let restBytes = storedBytes - journal.storedBytes
  await store.checkRoom(id, restBytes)
  const tensorBytes = model.groups.reduce((sum, group) => sum + sourceBytes(group), 0)
  progress.add('download', model.file.sizeBytes - tensorBytes)
  const groups: RecordGroup[] = []
  for (const planned of model.groups) {
    const finished = journal.finished(planned.name)
    if (finished !== undefined) progress.skip(sourceBytes(planned), planned.bytes)
    const group = finished ?? (await withRoom(job, restBytes, () => storeGroup(job, planned, journal)))
    if (finished === undefined) restBytes -= group.bytes
    groups.push(group)
  }
  const text: RecordPart = { key: TOKENIZER_KEY, bytes: tokenizer.byteLength, crc32: crc32(tokenizer) }
  await withRoom(job, restBytes, () => store.records(id).setMany([[TOKENIZER_KEY, new Blob([tokenizer])]]))
  if (signal?.aborted) throw abortError(signal)
  const manifest: ModelManifest = {
    version: 1,
    id,
    name: model.name,
    description: model.description,
    license: model.license,
    origin: model.origin,
    fingerprint: model.file.fingerprint,
    importedAt: Date.now(),
    downloadBytes: model.file.sizeBytes,
    storedBytes,
    blueprint: model.blueprint,
    tokenizer: text,
    groups,
    tensors: model.groups.flatMap((group) => group.tensors.map(({ packed }) => packed)),
  }
  await withRoom(job, 0, () => store.put(manifest))
  await journal.close()
  progress.add('store', tokenizer.byteLength)
  return manifest
}

/** The model under this id if it is this one. @throws `bad-request` when it is another. */
async function findComplete(
  store: ModelStore,
  id: string,
  fingerprint: string,
): Promise<ModelManifest | undefined> {
  const manifest = await store.get(id).catch((error: unknown) => {
    // A damaged description is written anew.
    if (error instanceof EngineError && error.code === 'model-corrupt') return undefined
    throw error
  })
  if (manifest === undefined || manifest.fingerprint === fingerprint) return manifest
  throw new EngineError('bad-request', `Another model is stored as "${id}" (${manifest.name}).`, {
    hint: 'Import under another id, or delete the stored model first.',
    details: { id, stored: manifest.name },
  })
}

async function storeGroup(job: StoreJob, group: PlannedGroup, journal: ImportJournal): Promise<RecordGroup> {
  const { id, model, store, progress, signal } = job
  const lastPart = partCount(group) - 1
  const parts: RecordPart[] = []
  const record: RecordGroup = { name: group.name, bytes: group.bytes, parts }
  await packGroup({
    sources: model.file.sources,
    group,
    signal,
    onRead: (bytes) => progress.add('download', bytes),
    async onPart(part, bytes) {
      if (signal?.aborted) throw abortError(signal)
      const key = recordKey(group.name, part)
      parts.push({ key, bytes: bytes.byteLength, crc32: crc32(bytes) })
      const entry = [key, new Blob([bytes])] as const
      if (part < lastPart) await store.records(id).setMany([entry])
      else await journal.finish(record, entry)
      progress.add('store', bytes.byteLength)
      return undefined
    },
  })
  return record
}

/** Key of a group's record. */
export function recordKey(group: string, part: number): string {
  return `resident/${group}/${part}`
}

function sourceBytes(group: PlannedGroup): number {
  return group.tensors.flatMap(sourcesOf).reduce((sum, { bytes }) => sum + bytes, 0)
}

/** Adds to a quota failure how much was still to be stored. */
async function withRoom<Result>(
  job: StoreJob,
  neededBytes: number,
  work: () => Promise<Result>,
): Promise<Result> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof EngineError && error.code === 'storage-quota')) throw error
    const freeBytes = await job.store.freeBytes()
    throw quotaError(`The rest of "${job.id}"`, neededBytes, freeBytes, error.cause)
  }
}

/** Rejects as soon as the signal aborts, while the work itself ends at its next step. */
export function untilAborted<Result>(
  work: Promise<Result>,
  signal: AbortSignal | undefined,
): Promise<Result> {
  if (signal === undefined) return work
  return new Promise((resolve, reject) => {
    const leave = () => reject(abortError(signal))
    if (signal.aborted) leave()
    signal.addEventListener('abort', leave, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', leave))
  })
}
