/** Watches streamed text for stop strings. */
export interface StopMatcher {
  /** Text that is certain to be before any stop string; `isStopped` once one is complete. */
  push(text: string): { text: string; isStopped: boolean }
  /** What was held back, at the end without a stop string. */
  flush(): string
}

/**
 * A matcher that holds back what could begin a stop string, so that no part of one is ever shown.
 * It stops where the first stop string is complete (the longest of those that end there), whatever the
 * pieces are that the text comes in.
 */
export function createStopMatcher(stops: readonly string[]): StopMatcher {
  let held = ''
  let isStopped = false
  return {
    push(text) {
      if (isStopped) return { text: '', isStopped }
      held += text
      const start = firstStop(held, stops)
      isStopped = start !== undefined
      const sure = start ?? held.length - possibleStart(held, stops)
      const out = held.slice(0, sure)
      held = isStopped ? '' : held.slice(sure)
      return { text: out, isStopped }
    },
    flush() {
      const rest = held
      held = ''
      return rest
    },
  }
}

function firstStop(text: string, stops: readonly string[]): number | undefined {
  let end = Infinity
  let start: number | undefined
  for (const stop of stops) {
    const found = text.indexOf(stop)
    if (found < 0) continue
    const foundEnd = found + stop.length
    if (foundEnd < end || (foundEnd === end && found < (start ?? 0))) {
      end = foundEnd
      start = found
    }
  }
  return start
}

/** Length of the longest ending of `text` that begins a stop string. */
function possibleStart(text: string, stops: readonly string[]): number {
  let longest = 0
  for (const stop of stops) {
    for (let length = Math.min(stop.length - 1, text.length); length > longest; length--) {
      if (text.endsWith(stop.slice(0, length))) longest = length
    }
  }
  return longest
}
