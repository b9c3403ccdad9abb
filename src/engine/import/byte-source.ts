// Model bytes by range, wherever they come from. It must know nothing of what the bytes mean.
import { abortError, EngineError, isAbort } from '../errors.ts'

/** A file that is read by ranges and never as a whole. */
export interface ByteSource {
  readonly name: string
  readonly sizeBytes: number
  /** What changes when the content does (an ETag, a modification time); empty when nothing tells. */
  readonly validator: string
  /**
   * Reads exactly `lengthBytes` at `offsetBytes` into memory that the caller owns.
   * `onBytes` hears how much of this read has arrived.
   * @throws `model-corrupt` for a range beyond the end, `network` when a server fails, `AbortError`.
   */
  read(
    offsetBytes: number,
    lengthBytes: number,
    signal?: AbortSignal,
    onBytes?: (receivedBytes: number) => void,
  ): Promise<Uint8Array<ArrayBuffer>>
}

/** Refuses a range that is not inside the file. */
export function checkRange(
  source: { name: string; sizeBytes: number },
  offset: number,
  length: number,
): void {
  const isSane = Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0
  if (isSane && offset + length <= source.sizeBytes) return
  throw new EngineError(
    'model-corrupt',
    `${source.name}: bytes ${offset} to ${offset + length} are beyond the file's end at ${source.sizeBytes}.`,
    {
      hint: 'The file is incomplete or damaged. Download it again.',
      details: { file: source.name, offsetBytes: offset, lengthBytes: length, sizeBytes: source.sizeBytes },
    },
  )
}

/** Opens a `File` or `Blob`; a blob without a name is called `fallbackName`. */
export function openBlob(blob: Blob, fallbackName = 'file'): ByteSource {
  const file = blob as Blob & { name?: string; lastModified?: number }
  const source: ByteSource = {
    name: file.name ?? fallbackName,
    sizeBytes: blob.size,
    validator: file.lastModified === undefined ? '' : String(file.lastModified),
    async read(offsetBytes, lengthBytes, signal, onBytes) {
      checkRange(source, offsetBytes, lengthBytes)
      if (signal?.aborted) throw abortError(signal)
      const bytes = await readSlice(source.name, blob.slice(offsetBytes, offsetBytes + lengthBytes))
      if (signal?.aborted) throw abortError(signal)
      if (bytes.byteLength !== lengthBytes) throw changedFile(source.name)
      onBytes?.(lengthBytes)
      return bytes
    },
  }
  return source
}

async function readSlice(name: string, slice: Blob): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return new Uint8Array(await slice.arrayBuffer())
  } catch (cause) {
    if (isAbort(cause)) throw cause
    throw changedFile(name, cause)
  }
}

function changedFile(name: string, cause?: unknown): EngineError {
  return new EngineError('model-corrupt', `${name} was changed or removed while it was being read.`, {
    hint: 'Choose the file again.',
    details: { file: name },
    cause,
  })
}
