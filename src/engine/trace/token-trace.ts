// The routing of every token of a run, packed in typed arrays. Pure: it must know no DOM, GPU or store.
import type { ExpertPrecision, ExpertSourceName, TokenEvent } from '../protocol.ts'

/** Expert number of a choice that was never made: the token was not read. */
export const NO_EXPERT = 0xffff

/** Codes of the precision column; the position is the code. */
export const PRECISIONS: readonly ExpertPrecision[] = ['skip', 'low', 'high']
/** Codes of the source column; the position is the code. */
export const SOURCES: readonly ExpertSourceName[] = ['gpu', 'ram', 'disk']

const HIGH = PRECISIONS.indexOf('high')
const GPU = SOURCES.indexOf('gpu')

/** Sizes that every token of a run shares. */
export interface TraceShape {
  layers: number
  /** Experts in a layer. */
  experts: number
  /** Experts a token takes in a layer. */
  topK: number
}

/** What is known of a token beside its routing; `text` and `id` are undefined when they were withheld. */
export interface TokenFacts {
  id: number | undefined
  text: string | undefined
  phase: 'prefill' | 'decode'
  ms: number
  stallMs: number
  bytesRead: number
}

/** Packed codes of one token, each layers × topK; weights are 0–255 for 0–1. */
export interface RoutingCodes {
  experts: Uint16Array
  weights: Uint8Array
  precision: Uint8Array
  source: Uint8Array
}

/** One expert that a token took in a layer. */
export interface Choice {
  expert: number
  /** Share of the layer's output, 0–1. */
  weight: number
  precision: ExpertPrecision
  source: ExpertSourceName
}

/**
 * The packed routing record of a context: tokens in order, columns in token × layer × choice order.
 *
 * Owns its arrays, which grow by doubling; `routing()` returns views that are valid until the next write.
 */
export class TokenTrace {
  readonly shape: TraceShape
  #facts: TokenFacts[] = []
  #routing: RoutingCodes
  #firstIndex = 0
  #requestId: number | undefined
  #before: TokenFacts[] = []

  constructor(shape: TraceShape) {
    this.shape = shape
    this.#routing = allocate(0)
  }

  /** Tokens recorded. */
  get length(): number {
    return this.#facts.length
  }

  /** Position in the context of the first token recorded. */
  get firstIndex(): number {
    return this.#firstIndex
  }

  /** Choices of one token: layers × topK. */
  get choicesPerToken(): number {
    return this.shape.layers * this.shape.topK
  }

  /**
   * Takes a token event and returns the record's token number that it wrote.
   *
   * A new request first drops what lies at and after its first position, since it continues another text from there;
   * a second event for a position replaces the first. A token that the model made stays `decode` when a later
   * request reads it again as part of its prompt.
   */
  add(event: TokenEvent): number {
    if (event.requestId !== this.#requestId) {
      this.#requestId = event.requestId
      const kept = event.index - this.#firstIndex
      this.#before = kept < 0 ? [] : this.#facts.slice(kept)
      this.truncate(kept)
    }
    if (this.length === 0) this.#firstIndex = event.index
    let token = event.index - this.#firstIndex
    if (token < 0 || token > this.length) {
      this.truncate(0)
      this.#firstIndex = event.index
      token = 0
    }
    const earlier = this.#facts[token] ?? this.#before.shift()
    const wasMade = earlier?.id === event.id && earlier.phase === 'decode'
    this.#facts[token] = {
      id: event.id,
      text: event.text,
      phase: wasMade ? 'decode' : event.phase,
      ms: event.ms,
      stallMs: event.stallMs,
      bytesRead: event.bytesRead,
    }
    this.#reserve(token + 1)
    this.#writeEvent(token, event)
    return token
  }

  /** Appends a token from packed codes, which are copied; arrays must be layers × topK long. */
  push(facts: TokenFacts, codes: RoutingCodes): void {
    const token = this.#facts.push(facts) - 1
    this.#reserve(token + 1)
    const start = token * this.choicesPerToken
    this.#routing.experts.set(codes.experts, start)
    this.#routing.weights.set(codes.weights, start)
    this.#routing.precision.set(codes.precision, start)
    this.#routing.source.set(codes.source, start)
  }

  /** Forgets the tokens from number `length` on. */
  truncate(length: number): void {
    this.#facts.length = Math.min(this.#facts.length, Math.max(0, length))
  }

  facts(token: number): TokenFacts {
    const facts = this.#facts[token]
    if (facts === undefined) throw new RangeError(`token ${token} of ${this.length}`)
    return facts
  }

  /** True when the token passed through the layers, so that it has routing. */
  wasRead(token: number): boolean {
    return this.expertAt(token, 0, 0) !== undefined
  }

  /** The expert of choice `rank` (0 = heaviest), or undefined when the token was never read. */
  expertAt(token: number, layer: number, rank: number): number | undefined {
    if (token >= this.length) return undefined
    const expert = this.#routing.experts[token * this.choicesPerToken + layer * this.shape.topK + rank]
    return expert === NO_EXPERT ? undefined : expert
  }

  /** Weight 0–1 that the token gave an expert in a layer; 0 when it did not choose it. */
  weightOf(token: number, layer: number, expert: number): number {
    const start = token * this.choicesPerToken + layer * this.shape.topK
    for (let rank = 0; rank < this.shape.topK; rank++) {
      if (this.expertAt(token, layer, rank) === expert)
        return (this.#routing.weights[start + rank] ?? 0) / 255
    }
    return 0
  }

  /** Choices of a token in a layer by falling weight; empty when it was never read. */
  choices(token: number, layer: number): Choice[] {
    const list: Choice[] = []
    const start = token * this.choicesPerToken + layer * this.shape.topK
    for (let rank = 0; rank < this.shape.topK; rank++) {
      const expert = this.expertAt(token, layer, rank)
      if (expert === undefined) break
      list.push({
        expert,
        weight: (this.#routing.weights[start + rank] ?? 0) / 255,
        precision: PRECISIONS[this.#routing.precision[start + rank] ?? HIGH] ?? 'high',
        source: SOURCES[this.#routing.source[start + rank] ?? GPU] ?? 'gpu',
      })
    }
    return list
  }

  /** Views of the packed codes of all tokens: token × layer × choice. */
  routing(): RoutingCodes {
    const count = this.length * this.choicesPerToken
    return {
      experts: this.#routing.experts.subarray(0, count),
      weights: this.#routing.weights.subarray(0, count),
      precision: this.#routing.precision.subarray(0, count),
      source: this.#routing.source.subarray(0, count),
    }
  }

  /** How often each expert was chosen, layers × experts, over the first `tokens` tokens. */
  countChoices(tokens = this.length): Uint32Array {
    const { layers, experts, topK } = this.shape
    const counts = new Uint32Array(layers * experts)
    const end = Math.min(tokens, this.length) * this.choicesPerToken
    for (let choice = 0; choice < end; choice++) {
      const expert = this.#routing.experts[choice]
      if (expert === undefined || expert >= experts) continue
      const cell = (Math.floor(choice / topK) % layers) * experts + expert
      counts[cell] = (counts[cell] ?? 0) + 1
    }
    return counts
  }

  /** Tokens with routing among the first `tokens`. */
  countRead(tokens = this.length): number {
    let read = 0
    for (let token = 0; token < Math.min(tokens, this.length); token++) if (this.wasRead(token)) read++
    return read
  }

  #writeEvent(token: number, event: TokenEvent): void {
    const count = this.choicesPerToken
    const start = token * count
    // An event of another shape (or of a token that was never read) has no routing to show.
    const isRead = event.experts.length === count && event.weights.length === count
    const { experts, weights, precision, source } = this.#routing
    precision.fill(HIGH, start, start + count)
    source.fill(GPU, start, start + count)
    for (let choice = 0; choice < count; choice++) {
      const expert = event.experts[choice] ?? NO_EXPERT
      experts[start + choice] = isRead && expert < this.shape.experts ? expert : NO_EXPERT
      weights[start + choice] = isRead ? packWeight(event.weights[choice] ?? 0) : 0
    }
  }

  #reserve(tokens: number): void {
    const needed = tokens * this.choicesPerToken
    if (needed <= this.#routing.experts.length) return
    const grown = allocate(Math.max(needed, 2 * this.#routing.experts.length, 64 * this.choicesPerToken))
    grown.experts.set(this.#routing.experts)
    grown.weights.set(this.#routing.weights)
    grown.precision.set(this.#routing.precision)
    grown.source.set(this.#routing.source)
    this.#routing = grown
  }
}

/** A weight 0–1 as the code 0–255 of the weight column. */
export function packWeight(weight: number): number {
  return Math.round(Math.min(1, Math.max(0, weight)) * 255)
}

function allocate(choices: number): RoutingCodes {
  return {
    experts: new Uint16Array(choices),
    weights: new Uint8Array(choices),
    precision: new Uint8Array(choices),
    source: new Uint8Array(choices),
  }
}
