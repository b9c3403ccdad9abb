// Who may write, read or delete a model, across all tabs of the site.
import { abortError, EngineError } from '../errors.ts'
import { createLocalLocks } from './local-locks.ts'

/** The part of the platform's `LockManager` that is used here. */
export interface LockRequests {
  request<Result>(
    name: string,
    options: { mode?: 'exclusive' | 'shared'; ifAvailable?: boolean; signal?: AbortSignal },
    work: (lock: unknown) => Promise<Result>,
  ): Promise<Result>
  query?(): Promise<{ held?: readonly { name?: string }[] }>
}

export interface ModelLocks {
  /** Runs `work` as the only import of this model; `onWaiting` is called when another one runs. */
  whileImporting<Result>(id: string, work: () => Promise<Result>, options?: WaitOptions): Promise<Result>
  /** Keeps the model from being deleted until the returned function is called. */
  holdLoaded(id: string, signal?: AbortSignal): Promise<() => void>
  /** How many hold the model loaded, in all tabs; 0 where that cannot be known. */
  countLoaded(id: string): Promise<number>
  /** Runs `work` while nobody loads or imports the model. @throws `busy` when someone does. */
  whileDeleting<Result>(id: string, work: () => Promise<Result>): Promise<Result>
}

export interface WaitOptions {
  onWaiting?: (() => void) | undefined
  signal?: AbortSignal | undefined
}

const importLock = (id: string) => `switchyard-import-${id}`
const loadedLock = (id: string) => `switchyard-loaded-${id}`

/** Locks over Web Locks; without them over this context alone, which then is all that can be known. */
export function createModelLocks(locks: LockRequests = defaultLocks()): ModelLocks {
  return {
    async whileImporting(id, work, { onWaiting, signal } = {}) {
      if (signal?.aborted) throw abortError(signal)
      const name = importLock(id)
      const first = await locks.request(name, { ifAvailable: true }, async (lock) =>
        lock === null ? undefined : { result: await work() },
      )
      if (first !== undefined) return first.result
      onWaiting?.()
      return locks.request(name, signal === undefined ? {} : { signal }, work)
    },

    holdLoaded(id, signal) {
      return new Promise((resolve, reject) => {
        const options = { mode: 'shared', ...(signal === undefined ? {} : { signal }) } as const
        const held = locks.request(
          loadedLock(id),
          options,
          () => new Promise<void>((release) => resolve(release)),
        )
        held.catch(reject)
      })
    },

    async countLoaded(id) {
      const { held = [] } = (await locks.query?.()) ?? {}
      return held.filter(({ name }) => name === loadedLock(id)).length
    },

    whileDeleting(id, work) {
      return locks.request(importLock(id), { ifAvailable: true }, async (importing) => {
        if (importing === null) throw busy(id, 'is being imported')
        return locks.request(loadedLock(id), { ifAvailable: true }, async (loaded) => {
          if (loaded === null) throw busy(id, 'is loaded')
          return work()
        })
      })
    },
  }
}

/** The error of a model that someone uses. */
export function busy(id: string, what: string): EngineError {
  return new EngineError('busy', `The model "${id}" ${what} here or in another tab.`, {
    hint: 'Unload the model, stop its import or close the other tab, then delete it.',
    details: { model: id },
  })
}

let sharedLocalLocks: LockRequests | undefined

function defaultLocks(): LockRequests {
  const platform = (globalThis.navigator as Navigator | undefined)?.locks
  if (platform !== undefined) return platform as unknown as LockRequests
  sharedLocalLocks ??= createLocalLocks()
  return sharedLocalLocks
}
