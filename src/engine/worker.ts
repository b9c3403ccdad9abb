// The worker's entry: one session behind a comlink port.
import { expose } from 'comlink'
import { installErrorTransfer } from './error-transfer.ts'
import { EventBatch } from './event-batch.ts'
import type { TextRequest } from './generation.ts'
import type { ModelSource } from './protocol.ts'
import { Session } from './session.ts'
import type { EventSink, SessionOptions } from './session-api.ts'

installErrorTransfer()

/** A session whose events reach the other side before the call that caused them returns. */
class WorkerSession extends Session {
  #batch: EventBatch | undefined

  override open(options: SessionOptions, sink: EventSink) {
    const batch = new EventBatch(sink)
    this.#batch = batch
    return super.open(options, (events) => batch.push(events))
  }

  override load(requestId: number, source: ModelSource, contextTokens: number | undefined) {
    return this.#flushed(super.load(requestId, source, contextTokens))
  }

  override import(requestId: number, source: ModelSource) {
    return this.#flushed(super.import(requestId, source))
  }

  override generate(requestId: number, request: TextRequest) {
    return this.#flushed(super.generate(requestId, request))
  }

  override measure(requestId: number, name: string, options: unknown) {
    return this.#flushed(super.measure(requestId, name, options))
  }

  override unload() {
    return this.#flushed(super.unload())
  }

  async #flushed<Result>(call: Promise<Result>): Promise<Result> {
    try {
      return await call
    } finally {
      await this.#batch?.flush()
    }
  }
}

expose(new WorkerSession())
