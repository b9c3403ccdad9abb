// Fetches one damaged or missing record again from where the model came from.
import { EngineError } from '../errors.ts'
import { crc32 } from '../store/crc32.ts'
import type { ModelManifest, RecordPart } from '../store/manifest.ts'
import type { ModelStore } from '../store/model-store.ts'
import { recordKey, untilAborted } from './import-model.ts'
import { type OpenedModel, openModel } from './open-model.ts'
import { packGroup } from './pack-group.ts'
import type { NetworkOptions } from './range-request.ts'

export interface RepairOptions {
  store: ModelStore
  manifest: ModelManifest
  /** Key of the record, as in `details.record` of the error that named it. */
  record: string
  signal?: AbortSignal | undefined
  network?: NetworkOptions | undefined
}

/**
 * Makes a record whole again; only its own group is read.
 * @throws `model-corrupt` when the model came from files or its source has changed, `network`,
 * `storage-quota`, `AbortError`.
 */
export function repairRecord(options: RepairOptions): Promise<void> {
  const { store, manifest, signal } = options
  const work = store.locks.whileImporting(manifest.id, () => repair(options), { signal })
  return untilAborted(work, signal)
}

async function repair({ store, manifest, record, signal, network }: RepairOptions): Promise<void> {
  const { origin } = manifest
  if (origin.kind !== 'url') {
    throw notRepaired(
      manifest,
      record,
      'and its model came from files',
      'Delete the model and import the files again.',
    )
  }
  const model = await openModel({ urls: origin.urls }, network, signal)
  if (model.file.fingerprint !== manifest.fingerprint) throw sourceChanged(manifest, record)
  const bytes =
    record === manifest.tokenizer.key
      ? new TextEncoder().encode(JSON.stringify(model.tokenizer))
      : await packAgain(manifest, record, model, signal)
  if (crc32(bytes) !== findPart(manifest, record).crc32) throw sourceChanged(manifest, record)
  await store.records(manifest.id).setMany([[record, new Blob([bytes])]])
}

function findPart(manifest: ModelManifest, record: string): RecordPart {
  const parts = [manifest.tokenizer, ...manifest.groups.flatMap((group) => group.parts)]
  const part = parts.find(({ key }) => key === record)
  if (part !== undefined) return part
  throw notRepaired(
    manifest,
    record,
    'and its model has no such record',
    'Delete the model and import it again.',
  )
}

async function packAgain(
  manifest: ModelManifest,
  record: string,
  model: OpenedModel,
  signal: AbortSignal | undefined,
): Promise<Uint8Array<ArrayBuffer>> {
  const { key } = findPart(manifest, record)
  const name = manifest.groups.find(({ parts }) => parts.some((part) => part.key === key))?.name
  const group = model.groups.find((planned) => planned.name === name)
  if (group === undefined) throw sourceChanged(manifest, record)
  let found: Uint8Array<ArrayBuffer> | undefined
  await packGroup({
    sources: model.file.sources,
    group,
    signal,
    async onPart(part, bytes) {
      if (recordKey(group.name, part) !== key) return undefined
      found = bytes
      return 'stop'
    },
  })
  if (found === undefined) throw sourceChanged(manifest, record)
  return found
}

function sourceChanged(manifest: ModelManifest, record: string): EngineError {
  return notRepaired(
    manifest,
    record,
    'and its source has changed since',
    'Delete the model and import it again.',
  )
}

function notRepaired(manifest: ModelManifest, record: string, why: string, hint: string): EngineError {
  return new EngineError('model-corrupt', `Record ${record} of "${manifest.id}" is damaged, ${why}.`, {
    hint,
    details: { model: manifest.id, record },
  })
}
