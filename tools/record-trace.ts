// Makes the page's recorded run: reads the JSON of `engine generate --json` from standard input and writes
// a moe-trace file to standard output. See CONTRIBUTING.md.
import { readFileSync } from 'node:fs'
import type { RoutingRow, TokenEvent, Usage } from '../src/engine/protocol.ts'
import { formatTrace, traceFromEvents } from '../src/engine/trace/trace-file.ts'
import { rootFolder } from './setup.mjs'

interface GeneratedToken {
  id: number
  text: string
  logprob?: number
  ms?: number
  routing: RoutingRow[]
}

interface Generated {
  promptTokens: GeneratedToken[]
  tokens: GeneratedToken[]
  usage: Usage
  device: { vendor: string; architecture: string }
}

const MODEL = { id: 'smollm2-mpoe-8x135m', name: 'SmolLM2-MPOE 8x135M', layers: 30, experts: 8, topK: 2 }

const run = JSON.parse(readFileSync(0, 'utf8')) as Generated
const { version } = JSON.parse(readFileSync(`${rootFolder}/package.json`, 'utf8')) as { version: string }
// Prompt tokens are read many at a time: each carries its share.
const promptMs = 1000 / run.usage.prefill_tokens_per_second

const events = [...run.promptTokens, ...run.tokens].map(
  ({ id, text, logprob, ms, routing }, index): TokenEvent => {
    const isPrompt = index < run.promptTokens.length
    return {
      requestId: 0,
      index,
      id,
      text,
      phase: isPrompt ? 'prefill' : 'decode',
      ms: isPrompt ? promptMs : (ms ?? 0),
      stallMs: 0,
      bytesRead: 0,
      logprob: logprob ?? null,
      layers: MODEL.layers,
      topK: MODEL.topK,
      experts: Uint16Array.from(routing.flatMap(({ experts }) => experts)),
      weights: Float32Array.from(routing.flatMap(({ weights }) => weights)),
    }
  },
)

const { vendor, architecture } = run.device
const trace = traceFromEvents(
  {
    engine: version,
    origin: 'recorded',
    model: MODEL,
    policy: 'resident',
    budgets: { gpuBudgetBytes: null, hostBudgetBytes: null },
    seed: null,
    device: { vendor, architecture },
  },
  events,
)
process.stdout.write(formatTrace(trace, { includeText: true }))
