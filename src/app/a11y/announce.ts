import { signal } from '@preact/signals'

/** Speaks through one polite status region; rates are said at most every fifth second. */
export class Announcer {
  /** Text of the status region. */
  readonly text = signal('')
  #lastRateMs = 0

  say(sentence: string): void {
    // The same words twice are a change only with another character in them.
    this.text.value = this.text.value === sentence ? `${sentence}\u00a0` : sentence
  }

  /** Starts a stretch in which `sayRate` waits five seconds before it first speaks. */
  startRates(nowMs: number): void {
    this.#lastRateMs = nowMs
  }

  sayRate(nowMs: number, sentence: () => string): void {
    if (nowMs - this.#lastRateMs < 5000) return
    this.#lastRateMs = nowMs
    this.say(sentence())
  }
}
