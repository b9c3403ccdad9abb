// The `moe-trace` file, version 1: a run's routing as JSON with base64 columns. Pure; a file is data and never runs.
import * as v from 'valibot'
import { EngineError } from '../errors.ts'
import type { TokenEvent } from '../protocol.ts'
import { NO_EXPERT, PRECISIONS, type RoutingCodes, SOURCES, TokenTrace } from './token-trace.ts'

/** Bounds on what an imported trace may ask for. */
export const TRACE_LIMITS = {
  fileBytes: 32 * 2 ** 20,
  tokens: 65_536,
  layers: 512,
  experts: 4096,
  topK: 64,
  choices: 4_000_000,
  textLength: 4096,
  nameLength: 200,
} as const

const name = v.pipe(v.string(), v.maxLength(TRACE_LIMITS.nameLength))
const amount = v.pipe(v.number(), v.finite(), v.minValue(0))
const count = (max: number) => v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(max))
const column = v.pipe(v.string(), v.maxLength(TRACE_LIMITS.fileBytes))

const infoEntries = {
  engine: name,
  origin: v.picklist(['recorded', 'simulated']),
  model: v.object({
    id: name,
    name,
    layers: count(TRACE_LIMITS.layers),
    experts: count(TRACE_LIMITS.experts),
    topK: count(TRACE_LIMITS.topK),
  }),
  policy: name,
  budgets: v.object({ gpuBudgetBytes: v.nullable(amount), hostBudgetBytes: v.nullable(amount) }),
  seed: v.nullable(v.pipe(v.number(), v.finite())),
  device: v.object({ vendor: name, architecture: name }),
}

const tokenSchema = v.object({
  id: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(0xffff_ffff))),
  text: v.optional(v.pipe(v.string(), v.maxLength(TRACE_LIMITS.textLength))),
  phase: v.picklist(['prefill', 'decode']),
  ms: amount,
  stallMs: amount,
  bytesRead: amount,
})

const fileSchema = v.object({
  format: v.literal('moe-trace'),
  version: v.literal(1),
  ...infoEntries,
  tokens: v.pipe(v.array(tokenSchema), v.minLength(1), v.maxLength(TRACE_LIMITS.tokens)),
  routing: v.object({ expert: column, weight: column, precision: column, source: column }),
})

/**
 * What a trace says of its run.
 *
 * `engine` is the writer's version, `policy` the cache policy (`resident` when all experts stay on the GPU), budgets and
 * seed are null when none was set, `origin` tells a recorded run from a simulated one.
 */
export interface TraceInfo {
  engine: string
  origin: 'recorded' | 'simulated'
  model: { id: string; name: string; layers: number; experts: number; topK: number }
  policy: string
  budgets: { gpuBudgetBytes: number | null; hostBudgetBytes: number | null }
  seed: number | null
  device: { vendor: string; architecture: string }
}

/** A run: what it was, and where its tokens went. */
export interface Trace {
  info: TraceInfo
  tokens: TokenTrace
}

/** A trace from the events of a run, in their order; events are copied. */
export function traceFromEvents(info: TraceInfo, events: Iterable<TokenEvent>): Trace {
  const tokens = new TokenTrace(info.model)
  for (const event of events) tokens.add(event)
  return { info, tokens }
}

/**
 * A trace as the text of a file.
 *
 * Without the text, token ids are withheld too: an id names its text for everyone who has the vocabulary.
 */
export function formatTrace(trace: Trace, options: { includeText: boolean }): string {
  const { info, tokens } = trace
  const routing = tokens.routing()
  const list = Array.from({ length: tokens.length }, (_, token) => {
    const { id, text, phase, ms, stallMs, bytesRead } = tokens.facts(token)
    const rest = { phase, ms: round(ms), stallMs: round(stallMs), bytesRead }
    return options.includeText && id !== undefined && text !== undefined ? { id, text, ...rest } : rest
  })
  const head = JSON.stringify({ format: 'moe-trace', version: 1, ...info }, null, 1).slice(0, -2)
  const columns = JSON.stringify({
    expert: encodeBase64(littleEndian(routing.experts)),
    weight: encodeBase64(routing.weights),
    precision: encodeBase64(routing.precision),
    source: encodeBase64(routing.source),
  })
  const rows = list.map((token) => `  ${JSON.stringify(token)}`).join(',\n')
  return `${head},\n "tokens": [\n${rows}\n ],\n "routing": ${columns}\n}\n`
}

/**
 * Reads the text of a trace file, checking every size and code in it.
 *
 * @throws EngineError `bad-request` when it is no trace, of another version, too large, or contradicts itself.
 */
export function parseTrace(text: string): Trace {
  if (text.length > TRACE_LIMITS.fileBytes) {
    throw refuse(`The file has ${text.length} characters; a trace has at most ${TRACE_LIMITS.fileBytes}.`)
  }
  const result = v.safeParse(fileSchema, readJson(text))
  if (!result.success) {
    const issue = result.issues[0]
    const path = v.getDotPath(issue) ?? 'the file'
    throw refuse(`The trace is not valid at ${path}: ${issue.message}`)
  }
  const { tokens: facts, routing, format: _format, version: _version, ...info } = result.output
  const { layers, topK, experts } = info.model
  if (topK > experts) throw refuse(`The trace chooses ${topK} of ${experts} experts.`)
  const perToken = layers * topK
  const choices = facts.length * perToken
  if (choices > TRACE_LIMITS.choices) {
    throw refuse(`The trace has ${choices} choices; at most ${TRACE_LIMITS.choices} are read.`)
  }
  const codes: RoutingCodes = {
    experts: fromLittleEndian(decodeColumn('expert', routing.expert, 2 * choices)),
    weights: decodeColumn('weight', routing.weight, choices),
    precision: decodeColumn('precision', routing.precision, choices),
    source: decodeColumn('source', routing.source, choices),
  }
  checkCodes(codes, info.model)
  const tokens = new TokenTrace({ layers, experts, topK })
  facts.forEach((token, index) => {
    const start = index * perToken
    const end = start + perToken
    tokens.push(
      { ...token, id: token.id, text: token.text },
      {
        experts: codes.experts.subarray(start, end),
        weights: codes.weights.subarray(start, end),
        precision: codes.precision.subarray(start, end),
        source: codes.source.subarray(start, end),
      },
    )
  })
  return { info, tokens }
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw refuse('The file is not JSON.', cause)
  }
}

function checkCodes(codes: RoutingCodes, model: TraceInfo['model']): void {
  const { layers, experts, topK } = model
  const rows = codes.experts.length / topK
  for (let row = 0; row < rows; row++) {
    const where = `token ${Math.floor(row / layers)}, layer ${row % layers}`
    const isUnread = codes.experts[Math.floor(row / layers) * layers * topK] === NO_EXPERT
    const seen = new Set<number>()
    for (let choice = row * topK; choice < (row + 1) * topK; choice++) {
      const expert = codes.experts[choice] ?? NO_EXPERT
      if ((expert === NO_EXPERT) !== isUnread) throw refuse(`The trace has half a routing at ${where}.`)
      if (!isUnread && expert >= experts)
        throw refuse(`Expert ${expert} at ${where}; the model has ${experts}.`)
      if (!isUnread && seen.has(expert)) throw refuse(`Expert ${expert} is chosen twice at ${where}.`)
      seen.add(expert)
      const precision = codes.precision[choice] ?? 0
      const source = codes.source[choice] ?? 0
      if (precision >= PRECISIONS.length) throw refuse(`Precision code ${precision} at ${where} is unknown.`)
      if (source >= SOURCES.length) throw refuse(`Source code ${source} at ${where} is unknown.`)
    }
  }
}

function decodeColumn(label: string, text: string, bytes: number): Uint8Array {
  if (text.length !== 4 * Math.ceil(bytes / 3)) {
    throw refuse(
      `Column ${label} has ${text.length} characters; ${bytes} bytes need ${4 * Math.ceil(bytes / 3)}.`,
    )
  }
  let binary: string
  try {
    binary = atob(text)
  } catch (cause) {
    throw refuse(`Column ${label} is not base64.`, cause)
  }
  if (binary.length !== bytes) throw refuse(`Column ${label} has ${binary.length} bytes; expected ${bytes}.`)
  return Uint8Array.from(binary, (character) => character.charCodeAt(0))
}

function encodeBase64(bytes: Uint8Array): string {
  // In pieces, since the arguments of one call are bounded.
  const pieces: string[] = []
  for (let start = 0; start < bytes.length; start += 0x6000) {
    pieces.push(String.fromCharCode(...bytes.subarray(start, start + 0x6000)))
  }
  return btoa(pieces.join(''))
}

function littleEndian(values: Uint16Array): Uint8Array {
  const bytes = new Uint8Array(2 * values.length)
  const view = new DataView(bytes.buffer)
  values.forEach((value, index) => {
    view.setUint16(2 * index, value, true)
  })
  return bytes
}

function fromLittleEndian(bytes: Uint8Array): Uint16Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return Uint16Array.from({ length: bytes.length / 2 }, (_, index) => view.getUint16(2 * index, true))
}

function round(ms: number): number {
  return Math.round(ms * 100) / 100
}

function refuse(message: string, cause?: unknown): EngineError {
  return new EngineError('bad-request', message, { hint: 'Choose a trace that Switchyard saved.', cause })
}
