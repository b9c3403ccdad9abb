// Bytes and rates of an import, reported often enough to look alive and seldom enough to cost nothing.
import type { LoadProgress } from '../protocol.ts'

const REPORT_EVERY_MS = 50
const RATE_WINDOW_MS = 3000

type Stage = 'download' | 'store'

interface StageState {
  doneBytes: number
  totalBytes: number
  /** Recent [time, bytes] pairs; the rate is taken over them. */
  samples: [number, number][]
}

/** Counts what is read (`download`) and written (`store`); both together are the whole work. */
export class ImportProgress {
  readonly #onProgress: ((progress: LoadProgress) => void) | undefined
  readonly #stages: Record<Stage, StageState>
  #reportedAt = Number.NEGATIVE_INFINITY

  constructor(
    onProgress: ((progress: LoadProgress) => void) | undefined,
    downloadBytes: number,
    storeBytes: number,
  ) {
    this.#onProgress = onProgress
    this.#stages = {
      download: { doneBytes: 0, totalBytes: downloadBytes, samples: [] },
      store: { doneBytes: 0, totalBytes: storeBytes, samples: [] },
    }
  }

  /** Another tab is importing the same model. */
  waiting(): void {
    const totalBytes = this.#stages.download.totalBytes
    this.#onProgress?.({ stage: 'waiting', doneBytes: 0, totalBytes, bytesPerSecond: 0, doneShare: 0 })
  }

  /** Work of an earlier try; it counts as done, not as speed. */
  skip(downloadBytes: number, storeBytes: number): void {
    this.#stages.download.doneBytes += downloadBytes
    this.#stages.store.doneBytes += storeBytes
  }

  add(stage: Stage, bytes: number): void {
    const state = this.#stages[stage]
    const now = performance.now()
    if (state.samples.length === 0) state.samples.push([now, 0])
    state.doneBytes = Math.min(state.doneBytes + bytes, state.totalBytes)
    state.samples.push([now, bytes])
    while (state.samples.length > 2 && now - (state.samples[0]?.[0] ?? now) > RATE_WINDOW_MS)
      state.samples.shift()
    const isLast = state.doneBytes === state.totalBytes
    if (now - this.#reportedAt < REPORT_EVERY_MS && !isLast) return
    this.#reportedAt = now
    this.#report(stage, state)
  }

  #report(stage: Stage, { doneBytes, totalBytes, samples }: StageState): void {
    const { download, store } = this.#stages
    const [first, ...rest] = samples
    const seconds = ((rest.at(-1)?.[0] ?? 0) - (first?.[0] ?? 0)) / 1000
    const bytes = rest.reduce((sum, [, step]) => sum + step, 0)
    const whole = Math.max(1, download.totalBytes + store.totalBytes)
    this.#onProgress?.({
      stage,
      doneBytes,
      totalBytes,
      bytesPerSecond: seconds > 0 ? bytes / seconds : 0,
      doneShare: (download.doneBytes + store.doneBytes) / whole,
    })
  }
}
