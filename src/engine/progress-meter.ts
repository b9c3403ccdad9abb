// The whole way of a load as one bar: the import's share, then upload, compile and warm-up.
import type { LoadProgress, LoadStage } from './protocol.ts'

type OpenStage = Extract<LoadStage, 'upload' | 'compile' | 'warmup'>

/** Where each stage of opening begins and ends in the part of the bar after the import. */
const SPANS: Record<OpenStage, readonly [number, number]> = {
  upload: [0, 0.6],
  compile: [0.6, 0.9],
  warmup: [0.9, 1],
}
const REPORT_EVERY_MS = 50

/** Turns stage reports into progress; at most one in 50 ms, the ends of stages always. */
export class ProgressMeter {
  readonly #send: (progress: LoadProgress) => void
  /** Share of the bar that an import takes, when there is one. */
  readonly #importShare: number
  #isImported = false
  #stage: OpenStage | undefined
  #stageStartMs = 0
  #reportedAtMs = Number.NEGATIVE_INFINITY

  constructor(send: (progress: LoadProgress) => void, importShare: number) {
    this.#send = send
    this.#importShare = importShare
  }

  /** A listener for the import's own progress. */
  importProgress(): (progress: LoadProgress) => void {
    return (progress) => {
      this.#isImported = true
      this.#send({ ...progress, doneShare: progress.doneShare * this.#importShare })
    }
  }

  /** Reports `doneBytes` of `totalBytes` of a stage; 0 of 0 for a stage without bytes. */
  stage(stage: OpenStage, doneBytes: number, totalBytes: number): void {
    const now = performance.now()
    if (stage !== this.#stage) {
      this.#stage = stage
      this.#stageStartMs = now
      this.#reportedAtMs = Number.NEGATIVE_INFINITY
    }
    const isEnd = totalBytes > 0 && doneBytes >= totalBytes
    if (!isEnd && now - this.#reportedAtMs < REPORT_EVERY_MS) return
    this.#reportedAtMs = now
    const elapsedMs = now - this.#stageStartMs
    const [from, to] = SPANS[stage]
    const within = from + (to - from) * (totalBytes > 0 ? doneBytes / totalBytes : 0)
    const before = this.#isImported ? this.#importShare : 0
    const bytesPerSecond = elapsedMs > 0 ? (doneBytes * 1000) / elapsedMs : 0
    this.#send({ stage, doneBytes, totalBytes, bytesPerSecond, doneShare: before + (1 - before) * within })
  }
}
