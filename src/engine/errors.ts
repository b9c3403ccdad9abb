// The one class of error of the engine, its codes, and how it crosses a thread.
// A leaf: it must know nothing of the rest of the engine.

/** Every code an `EngineError` can carry; part of the API. */
export const ERROR_CODES = [
  'webgpu-missing',
  'adapter-missing',
  'limit-too-small',
  'device-lost',
  'gpu-memory',
  'shader-invalid',
  'model-format',
  'model-unsupported',
  'model-corrupt',
  'storage-missing',
  'storage-quota',
  'network',
  'not-loaded',
  'busy',
  'bad-request',
  'internal',
] as const

export type ErrorCode = (typeof ERROR_CODES)[number]

/** Structured-clone safe facts about a failure: numbers, names, sizes. */
export type ErrorDetails = Record<string, string | number | boolean | readonly (string | number)[]>

export interface EngineErrorOptions {
  /** What a person can do about it. */
  hint: string
  details?: ErrorDetails | undefined
  cause?: unknown
}

/** A failure of the engine: the message says what happened, with numbers; `hint` says what to do. */
export class EngineError extends Error {
  override readonly name = 'EngineError'
  readonly code: ErrorCode
  readonly hint: string
  readonly details: ErrorDetails

  constructor(code: ErrorCode, message: string, options: EngineErrorOptions) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.hint = options.hint
    this.details = options.details ?? {}
  }
}

/** A broken invariant of module `module`: always a bug of the engine. */
export function internalError(module: string, message: string, cause?: unknown): EngineError {
  return new EngineError('internal', `${module}: ${message}`, {
    hint: 'This is a bug in Switchyard. Please report it with the message.',
    cause,
  })
}

/** The platform's abort error, with the signal's own reason when it has one. */
export function abortError(signal?: AbortSignal): unknown {
  return signal?.reason ?? new DOMException('The operation was aborted.', 'AbortError')
}

/** True for the platform's `AbortError`, which passes through the engine unchanged. */
export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'AbortError'
}

/** An error as plain data; keeps code, hint, details and the chain of causes. */
export interface ErrorRecord {
  kind: 'engine' | 'dom' | 'error'
  name: string
  message: string
  code?: ErrorCode
  hint?: string
  details?: ErrorDetails
  cause?: ErrorRecord
}

/** Flattens any thrown value for a message port. */
export function packError(value: unknown, depth = 0): ErrorRecord {
  if (value instanceof EngineError) {
    const record: ErrorRecord = {
      kind: 'engine',
      name: value.name,
      message: value.message,
      code: value.code,
      hint: value.hint,
      details: value.details,
    }
    if (value.cause !== undefined && depth < 4) record.cause = packError(value.cause, depth + 1)
    return record
  }
  if (value instanceof DOMException) {
    return { kind: 'dom', name: value.name, message: value.message }
  }
  if (value instanceof Error) return { kind: 'error', name: value.name, message: value.message }
  return { kind: 'error', name: 'Error', message: String(value) }
}

/** Restores what `packError` flattened. */
export function unpackError(record: ErrorRecord): Error {
  if (record.kind === 'engine' && record.code !== undefined) {
    return new EngineError(record.code, record.message, {
      hint: record.hint ?? '',
      details: record.details,
      cause: record.cause === undefined ? undefined : unpackError(record.cause),
    })
  }
  if (record.kind === 'dom') return new DOMException(record.message, record.name)
  const error = new Error(record.message)
  error.name = record.name
  return error
}
