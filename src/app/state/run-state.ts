// The run on the screen: a recording, an opened trace, or the live context. Routing stays in typed arrays;
// signals only say that it changed.
import { batch, signal } from '@preact/signals'
import type { TokenEvent, TokenTrace, Trace, TraceInfo } from '../../index.ts'
import type { FrameLoop } from '../frame-loop.ts'
import type { Problem } from './problem.ts'

export type RunOrigin = 'recorded' | 'imported' | 'live'

export const ORIGIN_WORDS: Record<RunOrigin, string> = {
  recorded: 'recorded run',
  imported: 'opened trace',
  live: 'live',
}

const FRAME_BUDGET_MS = 8
const PLAY_MS = 9000

export class RunState {
  readonly origin = signal<RunOrigin>('recorded')
  readonly info = signal<TraceInfo | undefined>(undefined)
  /** Grows with every change of the tokens. */
  readonly revision = signal(0)
  /** Token in view, or -1. */
  readonly selected = signal(-1)
  /** First token not yet played, or undefined when all are shown. */
  readonly playhead = signal<number | undefined>(undefined)
  readonly isPlaying = signal(false)
  /** Why the recording or an opened trace is not shown. */
  readonly problem = signal<Problem | undefined>(undefined)

  #loop: FrameLoop
  #tokens: TokenTrace | undefined
  #live: Trace | undefined
  #queue: TokenEvent[] = []
  #dirtyFrom = 0
  #isFollowing = true
  #stepMs = 0
  #nextStepMs = 0

  constructor(loop: FrameLoop) {
    this.#loop = loop
    loop.add((nowMs) => this.#drain(FRAME_BUDGET_MS) || this.#step(nowMs))
  }

  /** Tokens on the screen; undefined before there are any. */
  get tokens(): TokenTrace | undefined {
    return this.#tokens
  }

  /** The shown run as a trace, for saving. */
  get trace(): Trace | undefined {
    const info = this.info.peek()
    const tokens = this.#tokens
    return info === undefined || tokens === undefined || tokens.length === 0 ? undefined : { info, tokens }
  }

  /** First token that changed since the last call. */
  takeDirty(): number {
    const from = this.#dirtyFrom
    this.#dirtyFrom = Number.POSITIVE_INFINITY
    return from
  }

  /** Shows a trace from its first made token on, or the live context at its end. */
  show({ info, tokens }: Trace, origin: RunOrigin): void {
    this.#present(info, tokens, origin)
  }

  #present(info: TraceInfo, tokens: TokenTrace | undefined, origin: RunOrigin): void {
    batch(() => {
      this.pause()
      this.playhead.value = undefined
      this.#tokens = tokens
      this.#dirtyFrom = 0
      this.info.value = info
      this.origin.value = origin
      this.#isFollowing = origin === 'live'
      this.selected.value = origin === 'live' ? this.#lastRead() : this.#firstMade()
      this.revision.value++
    })
  }

  /** Begins the record of the live context of a model that was just loaded. */
  startModel(trace: Trace): void {
    this.#live = trace
  }

  /** Turns to the live context for a request; `isFresh` hides what an earlier conversation left in it. */
  startRequest(isFresh: boolean, seed: number | null): void {
    if (this.#live === undefined) return
    this.#live.info = { ...this.#live.info, seed }
    this.#present(this.#live.info, isFresh ? undefined : this.#live.tokens, 'live')
  }

  /** Turns back to the live context. */
  showLive(): void {
    if (this.#live !== undefined) this.show(this.#live, 'live')
  }

  /** Queues an event for the next frame. */
  take(event: TokenEvent): void {
    this.#queue.push(event)
    this.#loop.wake()
  }

  /** Writes every queued event now. */
  flush(): void {
    this.#drain(Number.POSITIVE_INFINITY)
  }

  /** Chooses a token; choosing the last one follows the run again. */
  select(token: number): void {
    const last = this.#length - 1
    batch(() => {
      this.pause()
      this.playhead.value = undefined
      this.selected.value = Math.max(0, Math.min(last, token))
    })
    this.#isFollowing = token >= last
  }

  /** Plays the run from its first made token, or goes on after a pause. */
  play(): void {
    if (this.#length < 2) return
    if (this.playhead.value === undefined) {
      const first = this.#firstMade()
      this.playhead.value = first
      this.#stepMs = Math.min(140, Math.max(30, PLAY_MS / (this.#length - first)))
    }
    this.isPlaying.value = true
    this.#nextStepMs = 0
    this.#loop.wake()
  }

  pause(): void {
    this.isPlaying.value = false
  }

  #step(nowMs: number): boolean {
    const head = this.playhead.peek()
    if (!this.isPlaying.peek() || head === undefined) return false
    if (this.#nextStepMs === 0) this.#nextStepMs = nowMs + this.#stepMs
    if (nowMs < this.#nextStepMs) return true
    this.#nextStepMs = Math.max(this.#nextStepMs + this.#stepMs, nowMs)
    batch(() => {
      this.selected.value = head
      const isAtEnd = head + 1 >= this.#length
      this.playhead.value = isAtEnd ? undefined : head + 1
      if (isAtEnd) {
        this.isPlaying.value = false
        this.selected.value = this.#lastRead()
      }
    })
    return this.isPlaying.peek()
  }

  #drain(budgetMs: number): boolean {
    if (this.#queue.length === 0) return false
    if (this.#live === undefined) {
      this.#queue.length = 0
      return false
    }
    const startMs = performance.now()
    const { tokens } = this.#live
    let taken = 0
    let from = Number.POSITIVE_INFINITY
    for (const event of this.#queue) {
      from = Math.min(from, tokens.add(event))
      taken++
      if (taken % 32 === 0 && performance.now() - startMs > budgetMs) break
    }
    this.#queue.splice(0, taken)
    if (this.origin.peek() === 'live') {
      batch(() => {
        this.#dirtyFrom = Math.min(this.#dirtyFrom, this.#tokens === tokens ? from : 0)
        this.#tokens = tokens
        if (this.#isFollowing || this.selected.peek() >= tokens.length) this.selected.value = this.#lastRead()
        this.revision.value++
      })
    }
    return this.#queue.length > 0
  }

  get #length(): number {
    return this.#tokens?.length ?? 0
  }

  #firstMade(): number {
    let token = 0
    while (token < this.#length - 1 && this.#tokens?.facts(token).phase === 'prefill') token++
    return token
  }

  #lastRead(): number {
    let token = this.#length - 1
    while (token > 0 && this.#tokens?.wasRead(token) === false) token--
    return token
  }
}
