import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { EngineError } from '../errors.ts'
import type { TokenEvent } from '../protocol.ts'
import { formatTrace, parseTrace, type TraceInfo, traceFromEvents } from './trace-file.ts'

const INFO: TraceInfo = {
  engine: '0.1.0',
  origin: 'recorded',
  model: { id: 'tiny', name: 'Tiny', layers: 2, experts: 300, topK: 2 },
  policy: 'resident',
  budgets: { gpuBudgetBytes: null, hostBudgetBytes: null },
  seed: 7,
  device: { vendor: 'acme', architecture: 'one' },
}

function event(index: number, experts: number[]): TokenEvent {
  return {
    requestId: 1,
    index,
    id: index,
    text: index === 1 ? '<script>alert(1)</script>' : ` é\n${index}`,
    phase: index === 0 ? 'prefill' : 'decode',
    ms: 1.25,
    stallMs: 0,
    bytesRead: 12,
    logprob: null,
    layers: 2,
    topK: 2,
    experts: Uint16Array.from(experts),
    weights: Float32Array.from(experts, (_, choice) => 1 / (1 + choice)),
  }
}

const TRACE = traceFromEvents(INFO, [event(0, [1, 299, 2, 3]), event(1, [4, 5, 6, 7]), event(2, [])])

type Json = Record<string, unknown> & {
  model: Record<string, unknown>
  tokens: Record<string, unknown>[]
  routing: Record<string, string>
}

/** The file with one thing changed. */
function changed(change: (file: Json) => void): string {
  const file = JSON.parse(formatTrace(TRACE, { includeText: true })) as Json
  change(file)
  return JSON.stringify(file)
}

function refusal(text: string): EngineError {
  try {
    parseTrace(text)
  } catch (error) {
    if (error instanceof EngineError) return error
    throw error
  }
  throw new Error('the trace was accepted')
}

describe('a trace file', () => {
  it('reads back as it was written', () => {
    const read = parseTrace(formatTrace(TRACE, { includeText: true }))
    expect(read.info).toEqual(INFO)
    expect(read.tokens.routing()).toEqual(TRACE.tokens.routing())
    for (let token = 0; token < 3; token++)
      expect(read.tokens.facts(token)).toEqual(TRACE.tokens.facts(token))
    expect(read.tokens.wasRead(2)).toBe(false)
  })

  it('withholds ids together with the text, since an id names its text', () => {
    const text = formatTrace(TRACE, { includeText: false })
    expect(text).not.toContain('script')
    expect(text).not.toMatch(/"id":\s*\d/)
    const read = parseTrace(text)
    expect(read.tokens.facts(1)).toMatchObject({ id: undefined, text: undefined, phase: 'decode' })
    expect(read.tokens.routing()).toEqual(TRACE.tokens.routing())
  })

  it('takes any text as data', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 40 }), (units) => {
        const text = String.fromCharCode(...units)
        const trace = traceFromEvents(INFO, [{ ...event(0, [1, 2, 3, 4]), text }])
        expect(parseTrace(formatTrace(trace, { includeText: true })).tokens.facts(0).text).toBe(text)
      }),
    )
  })

  it.each<[string, string, RegExp]>([
    ['no JSON', '{', /not JSON/],
    ['another format', changed((file) => Object.assign(file, { format: 'other' })), /format/],
    ['another version', changed((file) => Object.assign(file, { version: 2 })), /version/],
    ['no tokens', changed((file) => Object.assign(file, { tokens: [] })), /tokens/],
    ['a negative time', changed((file) => Object.assign(file.tokens[0] ?? {}, { ms: -1 })), /tokens\.0\.ms/],
    ['a huge shape', changed((file) => Object.assign(file.model, { layers: 1e9 })), /model\.layers/],
    ['more choices than experts', changed((file) => Object.assign(file.model, { experts: 1 })), /2 of 1/],
    ['a long name', changed((file) => Object.assign(file.model, { name: 'x'.repeat(300) })), /model\.name/],
    ['a short column', changed((file) => Object.assign(file.routing, { weight: 'AAAA' })), /weight/],
    [
      'a column that is not base64',
      changed((file) => Object.assign(file.routing, { source: '????????????????' })),
      /source/,
    ],
    [
      'a token more than the columns hold',
      changed((file) => file.tokens.push({ ...file.tokens[0] })),
      /expert/,
    ],
    [
      'an expert the model lacks',
      changed((file) => Object.assign(file.model, { experts: 299 })),
      /Expert 299/,
    ],
    [
      'an unknown precision',
      changed((file) => Object.assign(file.routing, { precision: btoa('\u0009'.repeat(12)) })),
      /Precision/,
    ],
    [
      'half a routing',
      changed((file) =>
        Object.assign(file.routing, {
          expert: btoa(String.fromCharCode(1, 0, 255, 255, ...new Array<number>(20).fill(255))),
        }),
      ),
      /half a routing at token 0, layer 0/,
    ],
    [
      'an expert chosen twice',
      changed((file) =>
        Object.assign(file.routing, {
          expert: btoa(String.fromCharCode(1, 0, 1, 0, 2, 0, 3, 0, ...new Array<number>(16).fill(255))),
        }),
      ),
      /chosen twice/,
    ],
  ])('refuses %s with a code and a place', (_, text, message) => {
    const error = refusal(text)
    expect(error.code).toBe('bad-request')
    expect(error.message).toMatch(message)
    expect(error.hint).not.toBe('')
  })
})
