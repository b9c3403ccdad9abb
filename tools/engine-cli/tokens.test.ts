import { expect, test } from 'vitest'
import type { TokenEvent } from '../../src/engine/protocol.ts'
import { routingRows, tokenRows } from './tokens.ts'

function event(index: number, phase: TokenEvent['phase'], experts: number[], weights: number[]): TokenEvent {
  return {
    ...{ requestId: 1, index, id: 100 + index, text: `t${index}`, phase, ms: 2, stallMs: 1, bytesRead: 0 },
    ...{ logprob: -0.5, layers: 2, topK: 2 },
    experts: Uint16Array.from(experts),
    weights: Float32Array.from(weights),
  }
}

test('routingRows cuts the packed arrays into a row a layer', () => {
  const rows = routingRows(event(0, 'prefill', [3, 1, 7, 0], [0.75, 0.25, 0.5, 0.5]))
  expect(rows).toEqual([
    {
      layer: 0,
      experts: [3, 1],
      weights: [0.75, 0.25],
      precision: ['high', 'high'],
      source: ['gpu', 'gpu'],
      waitMs: [0, 0],
    },
    {
      layer: 1,
      experts: [7, 0],
      weights: [0.5, 0.5],
      precision: ['high', 'high'],
      source: ['gpu', 'gpu'],
      waitMs: [0, 0],
    },
  ])
})

test('tokenRows splits by phase, orders by position, and leaves an unread token without routing', () => {
  const events = [
    event(3, 'decode', [], []),
    event(1, 'prefill', [1, 2, 3, 4], [0.5, 0.5, 0.5, 0.5]),
    event(0, 'prefill', [1, 2, 3, 4], [0.5, 0.5, 0.5, 0.5]),
    event(2, 'decode', [5, 6, 7, 8], [0.5, 0.5, 0.5, 0.5]),
  ]
  const { promptTokens, tokens } = tokenRows(events)
  expect(promptTokens.map(({ id, text, routing }) => [id, text, routing.length])).toEqual([
    [100, 't0', 2],
    [101, 't1', 2],
  ])
  expect(
    tokens.map(({ id, logprob, ms, stallMs, routing }) => [id, logprob, ms, stallMs, routing.length]),
  ).toEqual([
    [102, -0.5, 2, 1, 2],
    [103, -0.5, 2, 1, 0],
  ])
})
