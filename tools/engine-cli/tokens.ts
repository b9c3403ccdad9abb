// Token events of one request as the rows of `generate --json`. Pure.
import type { RoutingRow, TokenEvent } from '../../src/engine/protocol.ts'

export interface PromptTokenRow {
  id: number
  text: string
  routing: RoutingRow[]
}

export interface TokenRow extends PromptTokenRow {
  logprob: number | null
  ms: number
  stallMs: number
  bytesRead: number
}

/** Prompt tokens and generated tokens, each in the order of their positions. */
export function tokenRows(events: readonly TokenEvent[]): {
  promptTokens: PromptTokenRow[]
  tokens: TokenRow[]
} {
  const ordered = [...events].sort((a, b) => a.index - b.index)
  const prompt = ordered.filter(({ phase }) => phase === 'prefill')
  const decoded = ordered.filter(({ phase }) => phase === 'decode')
  return {
    promptTokens: prompt.map((event) => ({ id: event.id, text: event.text, routing: routingRows(event) })),
    tokens: decoded.map((event) => {
      const { id, text, logprob, ms, stallMs, bytesRead } = event
      return { id, text, logprob, ms, stallMs, bytesRead, routing: routingRows(event) }
    }),
  }
}

/** One row a layer; none for a token that was never read. */
export function routingRows({ layers, topK, experts, weights }: TokenEvent): RoutingRow[] {
  if (experts.length === 0) return []
  return Array.from({ length: layers }, (_, layer) => {
    const chosen = [...experts.subarray(layer * topK, (layer + 1) * topK)]
    return {
      layer,
      experts: chosen,
      weights: [...weights.subarray(layer * topK, (layer + 1) * topK)],
      precision: chosen.map(() => 'high'),
      source: chosen.map(() => 'gpu'),
      waitMs: chosen.map(() => 0),
    }
  })
}
