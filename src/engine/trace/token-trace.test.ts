import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { TokenEvent } from '../protocol.ts'
import { TokenTrace } from './token-trace.ts'

const SHAPE = { layers: 3, experts: 8, topK: 2 }

function event(index: number, overrides: Partial<TokenEvent> = {}): TokenEvent {
  return {
    requestId: 1,
    index,
    id: 100 + index,
    text: ` t${index}`,
    phase: 'decode',
    ms: 5,
    stallMs: 0,
    bytesRead: 0,
    logprob: null,
    layers: SHAPE.layers,
    topK: SHAPE.topK,
    experts: Uint16Array.of(1, 2, 3, 4, index % 8, (index + 1) % 8),
    weights: Float32Array.of(0.75, 0.25, 0.5, 0.5, 1, 0),
    ...overrides,
  }
}

describe('TokenTrace', () => {
  it('keeps experts and weights of every layer by falling weight', () => {
    const trace = new TokenTrace(SHAPE)
    trace.add(event(0))
    trace.add(event(1))
    expect(trace.length).toBe(2)
    expect(trace.choices(1, 0)).toEqual([
      { expert: 1, weight: 191 / 255, precision: 'high', source: 'gpu' },
      { expert: 2, weight: 64 / 255, precision: 'high', source: 'gpu' },
    ])
    expect(trace.expertAt(1, 2, 0)).toBe(1)
    expect(trace.weightOf(1, 1, 4)).toBeCloseTo(0.5, 2)
    expect(trace.weightOf(1, 1, 7)).toBe(0)
  })

  it('has no routing for a token that was never read, until an event brings it', () => {
    const trace = new TokenTrace(SHAPE)
    trace.add(event(0, { experts: new Uint16Array(), weights: new Float32Array() }))
    expect(trace.wasRead(0)).toBe(false)
    expect(trace.choices(0, 1)).toEqual([])
    trace.add(event(0))
    expect(trace.length).toBe(1)
    expect(trace.wasRead(0)).toBe(true)
  })

  it('takes no routing from an event of another shape or with an expert the model lacks', () => {
    const trace = new TokenTrace(SHAPE)
    trace.add(event(0, { experts: Uint16Array.of(1, 2), weights: Float32Array.of(0.5, 0.5) }))
    trace.add(event(1, { experts: Uint16Array.of(99, 2, 3, 4, 5, 6) }))
    expect(trace.wasRead(0)).toBe(false)
    expect(trace.expertAt(1, 0, 0)).toBeUndefined()
    expect(trace.countChoices().length).toBe(SHAPE.layers * SHAPE.experts)
  })

  it('continues a reused prefix: later tokens are dropped, made tokens stay made', () => {
    const trace = new TokenTrace(SHAPE)
    for (let index = 0; index < 6; index++)
      trace.add(event(index, { phase: index < 3 ? 'prefill' : 'decode' }))
    trace.add(event(5, { requestId: 2, phase: 'prefill' }))
    trace.add(event(6, { requestId: 2, phase: 'prefill' }))
    expect(trace.length).toBe(7)
    expect(trace.facts(5).phase).toBe('decode')
    expect(trace.facts(6).phase).toBe('prefill')
    trace.add(event(1, { requestId: 3, id: 7, phase: 'prefill' }))
    expect(trace.length).toBe(2)
    expect(trace.facts(1)).toMatchObject({ id: 7, phase: 'prefill' })
  })

  it('starts over where the first event lies when the prefix is unknown', () => {
    const trace = new TokenTrace(SHAPE)
    trace.add(event(20))
    trace.add(event(21))
    expect([trace.firstIndex, trace.length]).toEqual([20, 2])
    trace.add(event(5, { requestId: 2 }))
    expect([trace.firstIndex, trace.length]).toEqual([5, 1])
    trace.add(event(30, { requestId: 2 }))
    expect([trace.firstIndex, trace.length]).toEqual([30, 1])
  })

  it('counts each choice once, and nothing past the asked tokens', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 200 }), fc.integer({ min: 0, max: 220 }), (tokens, asked) => {
        const trace = new TokenTrace(SHAPE)
        for (let index = 0; index < tokens; index++) trace.add(event(index))
        const counts = trace.countChoices(asked)
        const read = Math.min(tokens, asked)
        expect(trace.countRead(asked)).toBe(read)
        expect(counts.reduce((sum, count) => sum + count, 0)).toBe(read * trace.choicesPerToken)
        expect(counts[1]).toBe(read)
      }),
    )
  })
})
