// Peak of the JavaScript memory of a page and its workers, asked of the browser: in a worker no script can tell.
import type { CDPSession, Page } from 'playwright'

const INTERVAL_MS = 250

interface HeapUsage {
  usedSize: number
  backingStorageSize: number
}

/** Watches from `start` until `stop`, which must come: its timer keeps the process alive; objects and array buffers count, of all threads together. */
export class HeapWatch {
  peakBytes = 0
  readonly #session: CDPSession
  readonly #workers = new Set<string>()
  readonly #answers = new Map<number, (usage: HeapUsage | undefined) => void>()
  #nextId = 1
  #timer: NodeJS.Timeout | undefined

  static async start(page: Page): Promise<HeapWatch> {
    const watch = new HeapWatch(await page.context().newCDPSession(page))
    const options = { autoAttach: true, waitForDebuggerOnStart: false, flatten: false }
    await watch.#session.send('Target.setAutoAttach', options)
    watch.#timer = setInterval(() => void watch.#sample(), INTERVAL_MS)
    return watch
  }

  private constructor(session: CDPSession) {
    this.#session = session
    session.on('Target.attachedToTarget', ({ sessionId, targetInfo }) => {
      if (targetInfo.type === 'worker') this.#workers.add(sessionId)
    })
    session.on('Target.detachedFromTarget', ({ sessionId }) => this.#workers.delete(sessionId))
    session.on('Target.receivedMessageFromTarget', ({ message }) => {
      const { id, result } = JSON.parse(message) as { id?: number; result?: HeapUsage }
      if (id === undefined) return
      this.#answers.get(id)?.(result)
      this.#answers.delete(id)
    })
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  async #sample(): Promise<void> {
    // A thread that is busy answers when it can; until then there is nothing new to ask.
    if (this.#answers.size > 0) return
    try {
      const usages = await Promise.all([
        this.#session.send('Runtime.getHeapUsage') as Promise<HeapUsage>,
        ...[...this.#workers].map((worker) => this.#askWorker(worker)),
      ])
      const bytes = usages.reduce(
        (sum, usage) => sum + (usage?.usedSize ?? 0) + (usage?.backingStorageSize ?? 0),
        0,
      )
      this.peakBytes = Math.max(this.peakBytes, bytes)
    } catch {
      // The page or the worker went away between two samples: what was seen before stays.
      this.#answers.clear()
    }
  }

  async #askWorker(sessionId: string): Promise<HeapUsage | undefined> {
    const id = this.#nextId++
    const answer = new Promise<HeapUsage | undefined>((resolve) => this.#answers.set(id, resolve))
    const message = JSON.stringify({ id, method: 'Runtime.getHeapUsage' })
    await this.#session.send('Target.sendMessageToTarget', { sessionId, message })
    return await answer
  }
}
