// One IndexedDB database of key-value records, and what its failures mean.
import { clear, createStore, getMany, keys, setMany, type UseStore } from 'idb-keyval'
import { EngineError } from '../errors.ts'

const OBJECT_STORE = 'records'

/** Records by key; opens on first use, steps aside when another tab deletes the database. */
export class RecordDatabase {
  readonly name: string
  #use: UseStore | undefined

  constructor(name: string) {
    this.name = name
  }

  /** Values in the order of `wanted`, in one read-only transaction; `undefined` where there is none. */
  async getMany(wanted: readonly string[]): Promise<unknown[]> {
    return this.#run('read', (use) => getMany<unknown>([...wanted], use))
  }

  /** Writes all entries or none. @throws `storage-quota`, `storage-missing`. */
  async setMany(entries: readonly (readonly [string, unknown])[]): Promise<void> {
    await this.#run('write', (use) =>
      setMany(
        entries.map(([key, value]) => [key, value]),
        use,
      ),
    )
  }

  async keys(): Promise<string[]> {
    return (await this.#run('read', (use) => keys(use))).map(String)
  }

  async clear(): Promise<void> {
    await this.#run('write', (use) => clear(use))
  }

  async deleteMany(unwanted: readonly string[]): Promise<void> {
    await this.#run('write', (use) =>
      use('readwrite', (store) => {
        for (const key of unwanted) store.delete(key)
        return new Promise<void>((resolve, reject) => {
          store.transaction.oncomplete = () => resolve()
          store.transaction.onabort = () => reject(store.transaction.error)
        })
      }),
    )
  }

  /** Deletes the whole database; other tabs' idle connections close by themselves. */
  async destroy(): Promise<void> {
    await this.#run(
      'delete',
      () =>
        new Promise<void>((resolve, reject) => {
          const request = indexedDB.deleteDatabase(this.name)
          request.onsuccess = () => resolve()
          request.onerror = () => reject(request.error)
        }),
    )
    this.#use = undefined
  }

  async #run<Result>(action: string, work: (use: UseStore) => Promise<Result>): Promise<Result> {
    try {
      if (globalThis.indexedDB === undefined) throw storageMissing(this.name)
      return await work(this.#open())
    } catch (cause) {
      throw storageError(action, this.name, cause)
    }
  }

  #open(): UseStore {
    if (this.#use !== undefined) return this.#use
    const inner = createStore(this.name, OBJECT_STORE)
    const use: UseStore = (mode, callback) =>
      inner(mode, (store) => {
        const database = store.transaction.db
        // Without this a deletion in another tab would wait for this one to close.
        database.onversionchange = () => {
          database.close()
          if (this.#use === use) this.#use = undefined
        }
        return callback(store)
      })
    this.#use = use
    return use
  }
}

/** The browser refused to store `neededBytes`; both numbers where they are known. */
export function quotaError(
  what: string,
  neededBytes: number | undefined,
  freeBytes: number | undefined,
  cause?: unknown,
): EngineError {
  const needs = neededBytes === undefined ? 'needs more room' : `needs ${neededBytes} bytes`
  const has = freeBytes === undefined ? 'than the browser gives' : `and the browser has ${freeBytes} free`
  return new EngineError('storage-quota', `${what} ${needs} ${has}.`, {
    hint: 'Delete a model or free disk space, then try again: what was stored is kept.',
    details: {
      ...(neededBytes === undefined ? {} : { neededBytes }),
      ...(freeBytes === undefined ? {} : { freeBytes }),
    },
    cause,
  })
}

function storageMissing(database: string): EngineError {
  return new EngineError('storage-missing', 'This browser gives the page no IndexedDB to keep a model in.', {
    hint: 'Leave private browsing or allow the site to store data.',
    details: { database },
  })
}

/** A platform failure as an `EngineError`; IndexedDB's own `AbortError` must not pass for a person's. */
function storageError(action: string, database: string, cause: unknown): EngineError {
  if (cause instanceof EngineError) return cause
  const error = cause as { name?: string; message?: string } | null | undefined
  if (error?.name === 'QuotaExceededError') return quotaError(database, undefined, undefined, cause)
  const what = error === null || error === undefined ? 'no reason given' : `${error.name}: ${error.message}`
  return new EngineError(
    'storage-missing',
    `The browser's storage failed to ${action} in ${database} (${what}).`,
    {
      hint: 'Allow the site to store data, check the disk, then reload the page.',
      details: { database },
      cause,
    },
  )
}
