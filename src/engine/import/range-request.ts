// One ranged request and every check on its answer. It decides what is final and what may pass.
import { abortError, EngineError, type ErrorDetails } from '../errors.ts'

/** How the network is reached; tests pass their own. */
export interface NetworkOptions {
  fetch?: typeof fetch | undefined
  /** Resolves after `ms`, or at once when the signal aborts. */
  sleep?: ((ms: number, signal?: AbortSignal) => Promise<void>) | undefined
  /** A request that brings no byte for this long is given up and tried again. */
  stallMs?: number | undefined
}

export interface RemoteFile {
  url: string
  name: string
  network: NetworkOptions
}

/** What the first answer tells, and every later one must repeat. */
export interface FileIdentity {
  sizeBytes: number
  /** ETag or modification time; empty when the server tells neither. */
  validator: string
}

/** A failure that another attempt may not meet; `waitMs` when the server asked for a pause. */
export class PassingFailure extends Error {
  readonly waitMs: number | undefined
  constructor(message: string, options: { waitMs?: number | undefined; cause?: unknown } = {}) {
    super(message, { cause: options.cause })
    this.waitMs = options.waitMs
  }
}

const STALL_MS = 30_000

/**
 * Asks for `room.byteLength` bytes at `offset` and fills `room` from its start; the server may send less.
 * `onReceived` hears each step as it lands, so that a broken answer loses nothing.
 */
export async function requestRange(
  file: RemoteFile,
  offset: number,
  room: Uint8Array,
  known: FileIdentity | undefined,
  signal: AbortSignal | undefined,
  onReceived: (bytes: number) => void,
): Promise<FileIdentity> {
  const watch = watchStall(file.network.stallMs ?? STALL_MS, signal)
  try {
    const response = await send(file, offset, room.byteLength, watch)
    if (response.status === 206) {
      const range = checkPartial(file, response, offset, room.byteLength, known)
      await fill(file, response, room.subarray(0, range.length), watch, onReceived)
      return range.identity
    }
    checkWhole(file, response, offset, room.byteLength, known)
    const sizeBytes = await fillWhole(file, response, room, watch)
    if (known !== undefined && known.sizeBytes !== sizeBytes) throw changed(file)
    onReceived(sizeBytes)
    return { sizeBytes, validator: validatorOf(response) }
  } finally {
    watch.stop()
  }
}

/** A final `network` error about `file`. */
export function networkError(
  file: RemoteFile,
  what: string,
  details: ErrorDetails = {},
  cause?: unknown,
): EngineError {
  return new EngineError('network', `${file.name}: ${what}.`, {
    hint: 'Check the address and the connection, then try again: what was stored is kept.',
    details: { url: file.url, ...details },
    cause,
  })
}

interface StallWatch {
  signal: AbortSignal
  alive(): void
  stop(): void
}

function watchStall(stallMs: number, outer: AbortSignal | undefined): StallWatch {
  if (outer?.aborted) throw abortError(outer)
  const controller = new AbortController()
  const forward = () => controller.abort(outer?.reason)
  outer?.addEventListener('abort', forward, { once: true })
  const expire = () => controller.abort(new PassingFailure(`no byte arrived for ${stallMs} ms`))
  let timer = setTimeout(expire, stallMs)
  return {
    signal: controller.signal,
    alive() {
      clearTimeout(timer)
      timer = setTimeout(expire, stallMs)
    },
    stop() {
      clearTimeout(timer)
      outer?.removeEventListener('abort', forward)
    },
  }
}

async function send(file: RemoteFile, offset: number, length: number, watch: StallWatch): Promise<Response> {
  const range = `bytes=${offset}-${offset + length - 1}`
  let response: Response
  try {
    // The bytes go to IndexedDB; a second copy in the HTTP cache would only cost disk.
    const request = { headers: { range }, cache: 'no-store', signal: watch.signal } as const
    response = await (file.network.fetch ?? fetch)(file.url, request)
  } catch (cause) {
    throw passing(watch, 'the server could not be reached', cause)
  }
  const { status } = response
  if (status === 206 || status === 200) return response
  await response.body?.cancel().catch(() => undefined)
  if (status === 408 || status === 429 || status >= 500) {
    throw new PassingFailure(`the server answered ${status}`, { waitMs: retryAfterMs(response) })
  }
  throw networkError(file, `the server answered ${status} to a request for ${range}`, { status })
}

function passing(watch: StallWatch, message: string, cause: unknown): PassingFailure {
  return watch.signal.reason instanceof PassingFailure
    ? watch.signal.reason
    : new PassingFailure(message, { cause })
}

function retryAfterMs(response: Response): number | undefined {
  const seconds = Number(response.headers.get('retry-after') ?? Number.NaN)
  return Number.isFinite(seconds) && seconds >= 0 ? seconds * 1000 : undefined
}

function validatorOf(response: Response): string {
  return response.headers.get('etag') ?? response.headers.get('last-modified') ?? ''
}

function changed(file: RemoteFile): EngineError {
  return new EngineError('network', `${file.name} changed on the server while it was being read.`, {
    hint: 'Start the import again.',
    details: { url: file.url },
  })
}

function checkPartial(
  file: RemoteFile,
  response: Response,
  offset: number,
  length: number,
  known: FileIdentity | undefined,
): { length: number; identity: FileIdentity } {
  const header = response.headers.get('content-range')
  if (header === null) {
    throw networkError(file, 'the answer has no readable Content-Range header', {
      hint: 'Another origin must list Content-Range in Access-Control-Expose-Headers',
    })
  }
  const match = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(header.trim())
  const [start, end, sizeBytes] = (match ?? []).slice(1).map(Number) as [number, number, number]
  const isAsked = match !== null && start === offset && end >= start && end - start < length
  if (!isAsked || end >= sizeBytes || !Number.isSafeInteger(sizeBytes)) {
    const asked = `bytes ${offset} to ${offset + length - 1}`
    throw networkError(file, `the server answered "${header}" to a request for ${asked}`)
  }
  const identity = { sizeBytes, validator: validatorOf(response) }
  if (known !== undefined && (known.sizeBytes !== sizeBytes || known.validator !== identity.validator)) {
    throw changed(file)
  }
  return { length: end - start + 1, identity }
}

/** A server without ranges is good enough only when the whole file is what was asked for. */
function checkWhole(
  file: RemoteFile,
  response: Response,
  offset: number,
  length: number,
  known: FileIdentity | undefined,
): void {
  const stated = Number(response.headers.get('content-length') ?? 0)
  if (offset > 0 || stated > length) throw withoutRanges(file, response)
  if (known !== undefined && known.validator !== validatorOf(response)) throw changed(file)
}

function withoutRanges(file: RemoteFile, response: Response): EngineError {
  response.body?.cancel().catch(() => undefined)
  return new EngineError('network', `${file.name}: the server sends whole files and no ranges of them.`, {
    hint: 'Host the file on a server that answers range requests, or download it and choose the file.',
    details: { url: file.url, status: response.status },
  })
}

async function* steps(response: Response, watch: StallWatch): AsyncGenerator<Uint8Array> {
  const reader = response.body?.getReader()
  const leave = () => reader?.cancel().catch(() => undefined)
  watch.signal.addEventListener('abort', leave, { once: true })
  try {
    while (reader !== undefined) {
      const step = await reader.read().catch((cause: unknown) => {
        throw passing(watch, 'the connection broke off', cause)
      })
      // A read that was left reports the end of the body.
      if (watch.signal.aborted) throw passing(watch, 'the request was left', undefined)
      if (step.done) return
      watch.alive()
      yield step.value
    }
  } finally {
    watch.signal.removeEventListener('abort', leave)
    leave()
  }
}

async function fill(
  file: RemoteFile,
  response: Response,
  room: Uint8Array,
  watch: StallWatch,
  onReceived: (bytes: number) => void,
): Promise<void> {
  let filled = 0
  for await (const step of steps(response, watch)) {
    if (filled + step.byteLength > room.byteLength) {
      throw networkError(file, `the server sent more than the ${room.byteLength} bytes it announced`)
    }
    room.set(step, filled)
    filled += step.byteLength
    onReceived(step.byteLength)
  }
  if (filled < room.byteLength) {
    throw new PassingFailure(`the connection ended after ${filled} of ${room.byteLength} bytes`)
  }
}

async function fillWhole(
  file: RemoteFile,
  response: Response,
  room: Uint8Array,
  watch: StallWatch,
): Promise<number> {
  let filled = 0
  for await (const step of steps(response, watch)) {
    if (filled + step.byteLength > room.byteLength) throw withoutRanges(file, response)
    room.set(step, filled)
    filled += step.byteLength
  }
  return filled
}
