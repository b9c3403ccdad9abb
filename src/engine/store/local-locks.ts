// Web Locks' rules within one context, for places that have none (insecure pages, Node).
import { abortError } from '../errors.ts'
import type { LockRequests } from './locks.ts'

interface Waiter {
  mode: 'exclusive' | 'shared'
  grant: () => void
}

interface LockState {
  holders: number
  isExclusive: boolean
  queue: Waiter[]
}

/** A lock manager whose locks end with the context. */
export function createLocalLocks(): LockRequests {
  const states = new Map<string, LockState>()

  const stateOf = (name: string): LockState => {
    const state = states.get(name) ?? { holders: 0, isExclusive: false, queue: [] }
    states.set(name, state)
    return state
  }
  const isFree = (state: LockState, mode: Waiter['mode']) =>
    state.holders === 0 || (mode === 'shared' && !state.isExclusive)
  const admit = (name: string, state: LockState) => {
    for (let next = state.queue[0]; next !== undefined && isFree(state, next.mode); next = state.queue[0]) {
      state.queue.shift()
      state.holders++
      state.isExclusive = next.mode === 'exclusive'
      next.grant()
    }
    if (state.holders === 0 && state.queue.length === 0) states.delete(name)
  }

  return {
    async request(name, { mode = 'exclusive', ifAvailable = false, signal }, work) {
      if (signal?.aborted) throw abortError(signal)
      const state = stateOf(name)
      if (ifAvailable && (state.queue.length > 0 || !isFree(state, mode))) return work(null)
      await new Promise<void>((resolve, reject) => {
        const waiter: Waiter = {
          mode,
          grant() {
            signal?.removeEventListener('abort', leave)
            resolve()
          },
        }
        const leave = () => {
          state.queue.splice(state.queue.indexOf(waiter), 1)
          admit(name, state)
          reject(abortError(signal))
        }
        signal?.addEventListener('abort', leave, { once: true })
        state.queue.push(waiter)
        admit(name, state)
      })
      try {
        return await work({ name, mode })
      } finally {
        state.holders--
        admit(name, state)
      }
    },
  }
}
