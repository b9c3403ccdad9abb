// A run made from a seed, for looking at the page without an engine. Never part of a build.
import type { TokenEvent } from '../../src/engine/protocol.ts'
import { type Trace, traceFromEvents } from '../../src/engine/trace/trace-file.ts'

export const SHAPE = { layers: 30, experts: 8, topK: 2 }

export function splitTokens(text: string): string[] {
  return text.match(/<\|\w+\|>|\n+|\s+(?= )| ?[A-Za-z]{1,6}|\d| ?(?:(?!<\|)[^\sA-Za-z\d])+|\s/g) ?? []
}

export function makeEvent(
  index: number,
  text: string,
  phase: TokenEvent['phase'],
  isRead = true,
): TokenEvent {
  const { layers, topK, experts: expertCount } = SHAPE
  let hash = 2166136261
  for (const character of text.trim())
    hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 16777619) >>> 0
  const experts = new Uint16Array(layers * topK)
  const weights = new Float32Array(layers * topK)
  for (let layer = 0; layer < layers; layer++) {
    hash = (Math.imul(hash ^ (layer * 31 + (index % 3)), 2246822519) + 97) >>> 0
    const first = (hash >>> 7) % expertCount
    const second = (first + 1 + ((hash >>> 13) % (expertCount - 1))) % expertCount
    const weight = 0.5 + ((hash >>> 17) % 1000) / 2100
    experts.set([first, second], layer * topK)
    weights.set([weight, 1 - weight], layer * topK)
  }
  return {
    requestId: 1,
    index,
    id: hash % 49152,
    text,
    phase,
    ms: 430 + (hash % 90),
    stallMs: 0,
    bytesRead: 0,
    logprob: null,
    layers,
    topK,
    experts: isRead ? experts : new Uint16Array(),
    weights: isRead ? weights : new Float32Array(),
  }
}

const PROMPT =
  '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' +
  '<|im_start|>user\nWrite a Python function that checks whether a number is prime.<|im_end|>\n<|im_start|>assistant\n'
const ANSWER =
  'Here is a Python function that checks whether a number is prime:\n\n```python\ndef is_prime(n):\n    if n < 2:\n' +
  '        return False\n    for i in range(2, n):\n        if n % i == 0:\n            return False\n    return True\n```\n\n' +
  'The function returns True for the primes 2, 3, 5 and 7.<|im_end|>'

/** A recorded run like the one that ships. */
export function makeRun(): Trace {
  const prompt = splitTokens(PROMPT)
  const answer = splitTokens(ANSWER)
  const events = [
    ...prompt.map((text, index) => makeEvent(index, text, 'prefill')),
    ...answer.map((text, index) =>
      makeEvent(prompt.length + index, text, 'decode', index < answer.length - 1),
    ),
  ]
  return traceFromEvents(
    {
      engine: '0.1.0',
      origin: 'simulated',
      model: { id: 'smollm2-mpoe-8x135m', name: 'SmolLM2-MPOE 8×135M', ...SHAPE },
      policy: 'resident',
      budgets: { gpuBudgetBytes: null, hostBudgetBytes: null },
      seed: null,
      device: { vendor: 'none', architecture: 'sample' },
    },
    events,
  )
}
