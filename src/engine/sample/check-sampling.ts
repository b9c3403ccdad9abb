// What a request may ask for: every key is known or refused, every number is within its range.
import { EngineError } from '../errors.ts'
import { randomSeed } from './rng.ts'
import type { SamplingOptions } from './sampler.ts'

/** A request's options, checked, with the defaults filled in. */
export interface SamplingSettings extends SamplingOptions {
  seed: number
  stop: string[]
  /** Undefined: to the context's end. */
  maxTokens: number | undefined
  stream: boolean
  includeUsage: boolean
}

const MAX_STOPS = 16
const MAX_STOP_LENGTH = 256
/** Below it a temperature is greedy in all but name, and its inverse leaves the range of f32. */
const MIN_TEMPERATURE = 0.01

const KEYS = new Set([
  'prompt',
  'messages',
  'model',
  'signal',
  'stream',
  'stream_options',
  'max_tokens',
  'temperature',
  'top_p',
  'top_k',
  'min_p',
  'repetition_penalty',
  'seed',
  'stop',
])

/**
 * Checks a completion request's options; `prompt` and `messages` are left to their own checks.
 * Defaults: temperature 1, top_p 1, top_k 0, min_p 0, repetition_penalty 1, a random seed, no stop string.
 * Throws `bad-request` for an option that does not exist, a wrong type or a number out of range.
 */
export function checkSampling(request: object): SamplingSettings {
  const options: Record<string, unknown> = { ...request }
  for (const key of Object.keys(options)) {
    if (options[key] !== undefined && !KEYS.has(key)) {
      throw badRequest(key, `The option ${key} is not supported.`, `Supported: ${[...KEYS].join(', ')}.`)
    }
  }
  const temperature = readNumber(options, 'temperature', 1, 0, 5)
  if (temperature > 0 && temperature < MIN_TEMPERATURE) {
    throw outOfRange('temperature', temperature, `0 (greedy) or from ${MIN_TEMPERATURE} to 5`)
  }
  const model = options['model']
  if (model !== undefined && typeof model !== 'string') throw wrongType('model', 'a string')
  return {
    temperature,
    topP: readNumber(options, 'top_p', 1, 0, 1),
    topK: readInteger(options, 'top_k', 0, 0, 2 ** 31),
    minP: readNumber(options, 'min_p', 0, 0, 1),
    repetitionPenalty: readNumber(options, 'repetition_penalty', 1, 0.1, 10),
    seed: readSeed(options),
    stop: readStop(options['stop']),
    maxTokens:
      options['max_tokens'] === undefined ? undefined : readInteger(options, 'max_tokens', 1, 1, 2 ** 31),
    stream: readFlag(options, 'stream'),
    includeUsage: readIncludeUsage(options['stream_options']),
  }
}

function readNumber(
  options: Record<string, unknown>,
  key: string,
  preset: number,
  least: number,
  most: number,
): number {
  const value = options[key]
  if (value === undefined) return preset
  if (typeof value !== 'number') throw wrongType(key, 'a number')
  if (!(value >= least && value <= most)) throw outOfRange(key, value, `from ${least} to ${most}`)
  return value
}

function readInteger(
  options: Record<string, unknown>,
  key: string,
  preset: number,
  least: number,
  most: number,
): number {
  const value = readNumber(options, key, preset, least, most)
  if (!Number.isInteger(value)) throw outOfRange(key, value, `a whole number from ${least} to ${most}`)
  return value
}

function readSeed(options: Record<string, unknown>): number {
  const seed = options['seed'] ?? randomSeed()
  if (typeof seed !== 'number') throw wrongType('seed', 'a whole number')
  if (!Number.isSafeInteger(seed)) throw outOfRange('seed', seed, 'a whole number between −2⁵³ and 2⁵³')
  return seed
}

function readFlag(options: Record<string, unknown>, key: string): boolean {
  const value = options[key] ?? false
  if (typeof value !== 'boolean') throw wrongType(key, 'true or false')
  return value
}

function readStop(value: unknown): string[] {
  if (value === undefined) return []
  const stops: unknown[] = Array.isArray(value) ? value : [value]
  if (stops.length > MAX_STOPS) {
    throw badRequest(
      'stop',
      `stop has ${stops.length} strings; at most ${MAX_STOPS} are supported.`,
      'Use fewer.',
    )
  }
  return stops.map((stop) => {
    if (typeof stop !== 'string') throw wrongType('stop', 'a string or an array of strings')
    if (stop.length === 0 || stop.length > MAX_STOP_LENGTH) {
      throw outOfRange('stop', stop.length, `from 1 to ${MAX_STOP_LENGTH} characters`)
    }
    return stop
  })
}

function readIncludeUsage(value: unknown): boolean {
  if (value === undefined) return false
  if (typeof value !== 'object' || value === null) throw wrongType('stream_options', 'an object')
  const options: Record<string, unknown> = { ...value }
  const unknown = Object.keys(options).find((key) => key !== 'include_usage' && options[key] !== undefined)
  if (unknown !== undefined) {
    const key = `stream_options.${unknown}`
    throw badRequest(key, `The option ${key} is not supported.`, 'Supported: include_usage.')
  }
  return readFlag(options, 'include_usage')
}

function wrongType(key: string, expected: string): EngineError {
  return badRequest(key, `The option ${key} must be ${expected}.`, 'Correct the option, or leave it out.')
}

function outOfRange(key: string, value: number, range: string): EngineError {
  const message = `The option ${key} is ${value}; it must be ${range}.`
  return new EngineError('bad-request', message, {
    hint: 'Correct the option, or leave it out.',
    details: { option: key, value },
  })
}

function badRequest(key: string, message: string, hint: string): EngineError {
  return new EngineError('bad-request', message, { hint, details: { option: key } })
}
