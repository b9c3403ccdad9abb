// Stored models as the session uses them: sources resolved to manifests, records read and mended, locks held.
import { EngineError } from './errors.ts'
import type { ImportOptions } from './import/import-model.ts'
import type { ProgressMeter } from './progress-meter.ts'
import type { CatalogEntry, ModelSource, StorageUsage } from './protocol.ts'
import type { ModelManifest } from './store/manifest.ts'
import { type GroupChunk, ModelStore } from './store/model-store.ts'
import { readTokenizer } from './text/tokenizer.ts'
import type { TokenizerData } from './text/tokenizer-data.ts'

/** A text model that cannot run here is refused before its weights are fetched. */
function checkText({ tokenizer }: { tokenizer: TokenizerData }): void {
  readTokenizer(tokenizer)
}

/** Reads, packs and stores; its code loads on demand, for a second visit needs none of it. */
async function importModel(options: ImportOptions): Promise<ModelManifest> {
  const importer = await import('./import/import-model.ts')
  return importer.importModel(options)
}

/** The store and the importer behind one session. */
export class ImportSession {
  readonly store = new ModelStore()

  /**
   * The manifest of a source: opened when it is stored, else imported.
   * @throws EngineError `storage-missing`, `network`, `model-*`, `storage-quota`, `bad-request`; `AbortError`
   */
  async resolve(
    source: ModelSource,
    catalog: readonly CatalogEntry[],
    report: ProgressMeter,
    signal: AbortSignal,
  ): Promise<ModelManifest> {
    const { store } = this
    const common = { store, onProgress: report.importProgress(), signal, check: checkText }
    if (typeof source !== 'string') {
      const id = source.id === undefined ? {} : { id: source.id }
      if ('files' in source) return importModel({ source: { files: source.files }, ...common, ...id })
      const urls = typeof source.url === 'string' ? [source.url] : source.url
      return importModel({ source: { urls }, ...common, ...id })
    }
    const stored = await store.get(source)
    if (stored !== undefined) return stored
    const entry = catalog.find(({ id }) => id === source)
    if (entry === undefined) {
      throw new EngineError(
        'bad-request',
        `No model "${source}" is stored, and the catalog does not name it.`,
        {
          hint: 'Import it by address or file, or pass createEngine({ catalog }).',
          details: { id: source },
        },
      )
    }
    return importModel({ source: { urls: entry.urls }, id: entry.id, ...common })
  }

  /** The bytes of a group; a damaged record is fetched again once when its source is known. */
  async *readGroup(manifest: ModelManifest, group: string, signal: AbortSignal): AsyncGenerator<GroupChunk> {
    let offsetBytes = 0
    for (const mended = new Set<string>(); ; ) {
      try {
        for await (const chunk of this.store.readGroup(manifest, group, signal)) {
          if (chunk.offsetBytes < offsetBytes) continue
          offsetBytes = chunk.offsetBytes + chunk.bytes.byteLength
          yield chunk
        }
        return
      } catch (error) {
        await this.#mend(manifest, error, mended, signal)
      }
    }
  }

  /** The tokenizer's data; a damaged record is fetched again once, as in `readGroup`. */
  async readTokenizer(manifest: ModelManifest, signal: AbortSignal): Promise<TokenizerData> {
    try {
      return await this.store.readTokenizer(manifest)
    } catch (error) {
      await this.#mend(manifest, error, new Set(), signal)
      return this.store.readTokenizer(manifest)
    }
  }

  /** Fetches the record that `error` names, or throws the error: each record once, from an address only. */
  async #mend(
    manifest: ModelManifest,
    error: unknown,
    mended: Set<string>,
    signal: AbortSignal,
  ): Promise<void> {
    const isCorrupt = error instanceof EngineError && error.code === 'model-corrupt'
    const record = isCorrupt ? error.details['record'] : undefined
    if (typeof record !== 'string' || manifest.origin.kind !== 'url' || mended.has(record)) throw error
    mended.add(record)
    const { repairRecord } = await import('./import/repair-record.ts')
    await repairRecord({ store: this.store, manifest, record, signal })
  }

  /**
   * Keeps a model from being deleted until the returned function is called.
   * @throws EngineError `bad-request` when another tab has just deleted it
   */
  async holdLoaded(id: string, signal: AbortSignal): Promise<() => void> {
    const release = await this.store.locks.holdLoaded(id, signal)
    try {
      if ((await this.store.get(id)) === undefined) throw notStored(id)
      return release
    } catch (error) {
      release()
      throw error
    }
  }

  /** How many engines have the model loaded, this one included. */
  countLoaded(id: string): Promise<number> {
    return this.store.locks.countLoaded(id)
  }

  /** @throws EngineError `busy` while another tab uses it */
  remove(id: string): Promise<void> {
    return this.store.delete(id)
  }

  /** @throws EngineError `bad-request` when it is not stored */
  async verify(id: string): Promise<{ damaged: string[] }> {
    const manifest = await this.store.get(id)
    if (manifest === undefined) throw notStored(id)
    return { damaged: await this.store.verify(manifest) }
  }

  usage(): Promise<Omit<StorageUsage, 'isPersistent'>> {
    return this.store.usage()
  }
}

function notStored(id: string): EngineError {
  return new EngineError('bad-request', `No model "${id}" is stored.`, {
    hint: 'See models.list(), or import it again.',
    details: { id },
  })
}
