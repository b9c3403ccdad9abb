// One thing at a time on the device, in the order of asking; every request can be ended from outside.
import { abortError } from './errors.ts'

export type RequestKind = 'load' | 'unload' | 'generate' | 'import'

interface Tracked {
  kind: RequestKind
  controller: AbortController
}

/** A fair queue of exclusive work. */
export class RequestQueue {
  #tail: Promise<unknown> = Promise.resolve()
  readonly #tracked = new Map<number, Tracked>()
  #nextOwnId = -2

  /** Runs `work` after everything asked for before it; its signal fires on `abort` and `endAll`. */
  async run<Result>(
    kind: RequestKind,
    requestId: number,
    work: (signal: AbortSignal) => Promise<Result>,
  ): Promise<Result> {
    const id = requestId < 0 ? this.#nextOwnId-- : requestId
    const { signal } = this.track(kind, id)
    const turn = this.#tail.then(async () => {
      if (signal.aborted) throw abortError(signal)
      return work(signal)
    })
    this.#tail = turn.catch(() => undefined)
    try {
      return await turn
    } finally {
      this.untrack(id)
    }
  }

  /** A controller for work that does not need the device. */
  track(kind: RequestKind, id: number): AbortController {
    const controller = new AbortController()
    this.#tracked.set(id, { kind, controller })
    return controller
  }

  untrack(id: number): void {
    this.#tracked.delete(id)
  }

  /** Ends one request; an id that is not there has ended already, for calls of a port arrive in order. */
  abort(id: number, reason: unknown): void {
    this.#tracked.get(id)?.controller.abort(reason)
  }

  /** Ends every request of a kind with `reason`, queued ones too. */
  endAll(kind: RequestKind, reason: unknown): void {
    for (const tracked of this.#tracked.values()) {
      if (tracked.kind === kind) tracked.controller.abort(reason)
    }
  }
}
