// Events of the worker, sent at most once a frame, and all of them before a call returns.
import type { EventSink, WorkerEvent } from './session-api.ts'

const FRAME_MS = 16

/** Collects events for one sink. */
export class EventBatch {
  readonly #sink: (events: WorkerEvent[]) => unknown
  #events: WorkerEvent[] = []
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(sink: EventSink) {
    this.#sink = sink
  }

  push(events: readonly WorkerEvent[]): void {
    this.#events.push(...events)
    this.#timer ??= setTimeout(() => void this.flush(), FRAME_MS)
  }

  /** Sends what is there; resolves when the other side has taken it. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#events.length === 0) return
    const events = this.#events
    this.#events = []
    await this.#sink(events)
  }
}
