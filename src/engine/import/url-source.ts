// A file on a server, read by ranges; passing failures are retried from where the bytes stopped.
import { abortError, EngineError } from '../errors.ts'
import { type ByteSource, checkRange } from './byte-source.ts'
import {
  type FileIdentity,
  type NetworkOptions,
  networkError,
  PassingFailure,
  type RemoteFile,
  requestRange,
} from './range-request.ts'

/** Bytes of the first request: it tells size and validator, and small headers are inside. */
export const FIRST_READ_BYTES = 128 * 1024
const ATTEMPTS = 5
const FIRST_WAIT_MS = 300
const LONGEST_WAIT_MS = 20_000

/**
 * Opens an address with its first ranged request.
 * @throws `network` when it cannot be reached, answers an error or does not answer ranges; `bad-request`
 * for what is no http(s) or blob address; `AbortError`.
 */
export async function openUrl(
  address: string,
  network: NetworkOptions = {},
  signal?: AbortSignal,
): Promise<ByteSource> {
  const url = resolveAddress(address)
  const file: RemoteFile = { url: url.href, name: nameOf(url), network }
  const first = await readFully(file, 0, FIRST_READ_BYTES, undefined, signal)
  const { identity, bytes: head } = first
  const source: ByteSource = {
    name: file.name,
    sizeBytes: identity.sizeBytes,
    validator: identity.validator,
    async read(offsetBytes, lengthBytes, readSignal, onBytes) {
      checkRange(source, offsetBytes, lengthBytes)
      if (readSignal?.aborted) throw abortError(readSignal)
      if (offsetBytes + lengthBytes <= head.byteLength) {
        onBytes?.(lengthBytes)
        return head.slice(offsetBytes, offsetBytes + lengthBytes)
      }
      return (await readFully(file, offsetBytes, lengthBytes, identity, readSignal, onBytes)).bytes
    },
  }
  return source
}

/** The address as a URL, resolved against the page or worker where there is one. */
export function resolveAddress(address: string): URL {
  const base = (globalThis as { location?: { href: string } }).location?.href
  const url = URL.canParse(address, base) ? new URL(address, base) : undefined
  if (url !== undefined && ['http:', 'https:', 'blob:'].includes(url.protocol)) return url
  throw new EngineError('bad-request', `"${address}" is not an address of a model file.`, {
    hint: 'Give an http or https address of a .gguf file.',
    details: { url: address },
  })
}

function nameOf(url: URL): string {
  const last = url.pathname.split('/').pop() ?? ''
  try {
    return decodeURIComponent(last) || url.host
  } catch {
    return last
  }
}

/** Reads `length` bytes, or up to the end of a file whose size is not `known` yet. */
async function readFully(
  file: RemoteFile,
  offset: number,
  length: number,
  known: FileIdentity | undefined,
  signal: AbortSignal | undefined,
  onBytes?: (receivedBytes: number) => void,
): Promise<{ bytes: Uint8Array<ArrayBuffer>; identity: FileIdentity }> {
  const bytes = new Uint8Array(length)
  let identity = known
  let filled = 0
  let failures = 0
  while (identity === undefined || filled < Math.min(length, identity.sizeBytes - offset)) {
    const before = filled
    try {
      identity = await requestRange(
        file,
        offset + filled,
        bytes.subarray(filled),
        identity,
        signal,
        (received) => {
          filled += received
          onBytes?.(filled)
        },
      )
    } catch (error) {
      if (signal?.aborted) throw abortError(signal)
      if (!(error instanceof PassingFailure)) throw error
      failures = filled > before ? 1 : failures + 1
      if (failures >= ATTEMPTS) throw networkError(file, error.message, { attempts: failures }, error.cause)
      const waitMs = error.waitMs ?? FIRST_WAIT_MS * 2 ** (failures - 1)
      await (file.network.sleep ?? sleep)(Math.min(waitMs, LONGEST_WAIT_MS), signal)
      if (signal?.aborted) throw abortError(signal)
    }
  }
  return { bytes: bytes.subarray(0, filled), identity }
}

function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal?.addEventListener('abort', done, { once: true })
  })
}
