// The conversation: messages, the request that runs, and what it cost.
import { batch, signal } from '@preact/signals'
import type { ChatMessage, FinishReason, Usage } from '../../index.ts'
import type { Announcer } from '../a11y/announce.ts'
import { formatCount, formatRate } from '../format.ts'
import type { FrameLoop } from '../frame-loop.ts'
import type { EngineState } from './engine-state.ts'
import { isAbort, type Problem, toProblem } from './problem.ts'
import type { RunState } from './run-state.ts'
import type { Settings } from './settings.ts'

/** A message with its own node, to which text is only ever appended. */
export class ShownMessage {
  readonly role: string
  readonly node = document.createElement('p')
  #text = ''
  #pending = ''

  constructor(role: string, text = '') {
    this.role = role
    this.append(text)
    this.flush()
  }

  get text(): string {
    return this.#text + this.#pending
  }

  append(text: string): void {
    this.#pending += text
  }

  /** Writes what was appended since; returns whether there was anything. */
  flush(): boolean {
    if (this.#pending === '') return false
    this.node.append(this.#pending)
    this.#text += this.#pending
    this.#pending = ''
    return true
  }
}

export interface LiveRate {
  tokens: number
  tokensPerSecond: number
}

export class ChatState {
  readonly messages = signal<ShownMessage[]>([])
  readonly isRunning = signal(false)
  readonly problem = signal<Problem | undefined>(undefined)
  readonly usage = signal<Usage | undefined>(undefined)
  readonly finish = signal<FinishReason | undefined>(undefined)
  /** Measured here while tokens arrive; the engine's own numbers replace it. */
  readonly rate = signal<LiveRate | undefined>(undefined)
  /** True from the first message of a person until a new chat. */
  readonly isLive = signal(false)
  /** Grows when text was written, for scrolling. */
  readonly revision = signal(0)

  #engine: EngineState
  #run: RunState
  #loop: FrameLoop
  #announcer: Announcer
  #abort: AbortController | undefined
  #streaming: ShownMessage | undefined

  constructor(engine: EngineState, run: RunState, loop: FrameLoop, announcer: Announcer) {
    this.#engine = engine
    this.#run = run
    this.#loop = loop
    this.#announcer = announcer
    loop.add(() => {
      if (this.#streaming?.flush() === true) this.revision.value++
      return false
    })
  }

  /** Shows the messages of a recording; they are not part of a conversation. */
  showTranscript(messages: readonly { role: string; text: string }[]): void {
    if (this.isRunning.value) return
    batch(() => {
      this.messages.value = messages.map(({ role, text }) => new ShownMessage(role, text))
      this.isLive.value = false
      this.usage.value = undefined
      this.finish.value = undefined
      this.problem.value = undefined
    })
  }

  /** Forgets the conversation. */
  clear(): void {
    this.stop()
    batch(() => {
      this.messages.value = []
      this.isLive.value = true
      this.usage.value = undefined
      this.finish.value = undefined
      this.problem.value = undefined
    })
  }

  stop(): void {
    this.#abort?.abort()
  }

  /**
   * Sends a message and streams the answer; resolves when the answer ended, however it ended. False when nothing was
   * said and the message was taken back, so that it can be sent again.
   */
  async send(text: string, settings: Settings): Promise<boolean> {
    const engine = this.#engine.engine.value
    if (engine === undefined || this.isRunning.value) return false
    const isFresh = !this.isLive.value || this.messages.value.length === 0
    const answer = new ShownMessage('assistant')
    const question = new ShownMessage('user', text)
    const earlier = isFresh ? [] : this.messages.value
    const abort = new AbortController()
    const startMs = performance.now()
    this.#abort = abort
    this.#streaming = answer
    batch(() => {
      this.messages.value = [...earlier, question, answer]
      this.isLive.value = true
      this.isRunning.value = true
      this.problem.value = undefined
      this.usage.value = undefined
      this.finish.value = undefined
      this.rate.value = undefined
    })
    this.#run.startRequest(isFresh, settings.sampling.seed ?? null)
    this.#announcer.say('Running.')
    this.#announcer.startRates(startMs)
    try {
      const chunks = await engine.chat.completions.create({
        messages: toRequest([...earlier, question], settings.systemPrompt),
        ...settings.sampling,
        stream: true,
        stream_options: { include_usage: true },
        signal: abort.signal,
      })
      let firstMs = 0
      let tokens = 0
      for await (const chunk of chunks) {
        const choice = chunk.choices[0]
        if (chunk.usage !== undefined) this.usage.value = chunk.usage
        if (choice === undefined) continue
        if (choice.finish_reason !== null) this.finish.value = choice.finish_reason
        if (!choice.delta.content) continue
        const nowMs = performance.now()
        if (tokens++ === 0) firstMs = nowMs
        answer.append(choice.delta.content)
        this.rate.value = {
          tokens,
          tokensPerSecond: tokens > 1 ? ((tokens - 1) * 1000) / (nowMs - firstMs) : 0,
        }
        this.#announcer.sayRate(nowMs, () => this.#sayProgress())
        this.#loop.wake()
      }
    } catch (error) {
      if (isAbort(error)) this.finish.value = 'abort'
      else this.#fail(toProblem(error))
    }
    return this.#end(question, answer)
  }

  #fail(problem: Problem): void {
    // The banner of a lost device says it already, and has the way on.
    if (problem.code === 'device-lost' && this.#engine.lost.value !== undefined) this.finish.value = 'abort'
    else this.problem.value = problem
  }

  #end(question: ShownMessage, answer: ShownMessage): boolean {
    this.#run.flush()
    answer.flush()
    this.#streaming = undefined
    this.#abort = undefined
    const isFailed = this.problem.value !== undefined || this.finish.value === 'abort'
    const isTakenBack = isFailed && answer.text === ''
    batch(() => {
      if (isTakenBack) {
        this.messages.value = this.messages.value.filter(
          (message) => message !== answer && message !== question,
        )
      }
      this.isRunning.value = false
      this.revision.value++
    })
    const ended =
      this.problem.value !== undefined ? 'Failed' : this.finish.value === 'abort' ? 'Stopped' : 'Done'
    this.#announcer.say(`${ended}. ${this.#sayProgress()}`)
    return !isTakenBack
  }

  #sayProgress(): string {
    const usage = this.usage.value
    const tokens = usage?.completion_tokens ?? this.rate.value?.tokens ?? 0
    const rate = usage?.decode_tokens_per_second ?? this.rate.value?.tokensPerSecond ?? 0
    return rate > 0
      ? `${formatCount(tokens, 'token')}, ${formatRate(rate, 'a second')}.`
      : `${formatCount(tokens, 'token')}.`
  }
}

function toRequest(messages: readonly ShownMessage[], systemPrompt: string): ChatMessage[] {
  const turns = messages.map(({ role, text }): ChatMessage => {
    return { role: role === 'user' ? 'user' : 'assistant', content: text }
  })
  return systemPrompt.trim() === '' ? turns : [{ role: 'system', content: systemPrompt }, ...turns]
}
