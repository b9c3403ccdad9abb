// Reads the little-endian values of a GGUF header in order, fetching more of the file only when needed.
import { EngineError } from '../errors.ts'
import type { ByteSource } from './byte-source.ts'

const FIRST_WINDOW_BYTES = 128 * 1024
const LONGEST_STEP_BYTES = 8 * 2 ** 20
const LONGEST_HEADER_BYTES = 64 * 2 ** 20

/** A growing window over the start of a file. Call `need` before taking values; it is cheap when filled. */
export class GgufCursor {
  readonly source: ByteSource
  readonly #signal: AbortSignal | undefined
  #bytes = new Uint8Array(0)
  #view = new DataView(this.#bytes.buffer)
  #filledBytes = 0
  #at = 0
  // A byte order mark can be the start of a token, so it must survive.
  readonly #decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

  constructor(source: ByteSource, signal?: AbortSignal) {
    this.source = source
    this.#signal = signal
  }

  get offsetBytes(): number {
    return this.#at
  }

  /** Bytes between the cursor and the end of the file. */
  get restBytes(): number {
    return this.source.sizeBytes - this.#at
  }

  /** The bytes that have been taken so far. */
  get takenBytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#at)
  }

  has(bytes: number): boolean {
    return this.#at + bytes <= this.#filledBytes
  }

  /** Makes the next `bytes` available. @throws `model-corrupt` when the file ends before. */
  async need(bytes: number, what: string): Promise<void> {
    if (this.has(bytes)) return
    const end = this.#at + bytes
    if (end > this.source.sizeBytes) throw this.#truncated(end, what)
    if (end > LONGEST_HEADER_BYTES)
      throw this.malformed(`the header is longer than ${LONGEST_HEADER_BYTES} bytes`)
    const step = Math.min(Math.max(this.#filledBytes, FIRST_WINDOW_BYTES), LONGEST_STEP_BYTES)
    const goal = Math.min(Math.max(end, this.#filledBytes + step), this.source.sizeBytes)
    const more = await this.source.read(this.#filledBytes, goal - this.#filledBytes, this.#signal)
    const grown = new Uint8Array(goal)
    grown.set(this.#bytes)
    grown.set(more, this.#filledBytes)
    this.#bytes = grown
    this.#view = new DataView(grown.buffer)
    this.#filledBytes = goal
  }

  /** Reads `bytes` at the cursor with `get` and moves on; `need` must have been called. */
  take<Value>(bytes: number, get: (view: DataView, at: number) => Value): Value {
    const value = get(this.#view, this.#at)
    this.#at += bytes
    return value
  }

  async u32(what: string): Promise<number> {
    await this.need(4, what)
    return this.take(4, (view, at) => view.getUint32(at, true))
  }

  /** A 64-bit count or size, which must not exceed `most`. */
  async size(what: string, most: number): Promise<number> {
    await this.need(8, what)
    return this.takeSize(what, most)
  }

  takeSize(what: string, most: number): number {
    const value = this.take(
      8,
      (view, at) => view.getUint32(at + 4, true) * 2 ** 32 + view.getUint32(at, true),
    )
    if (value > most) throw this.malformed(`${what} is ${value}, more than ${most}`)
    return value
  }

  async string(what: string, mostBytes: number): Promise<string> {
    if (!this.has(8)) await this.need(8, what)
    const length = this.takeSize(`the length of ${what}`, mostBytes)
    if (!this.has(length)) await this.need(length, what)
    const bytes = this.#bytes.subarray(this.#at, this.#at + length)
    this.#at += length
    try {
      return this.#decoder.decode(bytes)
    } catch (cause) {
      throw this.malformed(`${what} is not UTF-8 text`, cause)
    }
  }

  malformed(what: string, cause?: unknown): EngineError {
    const where = `before byte ${this.#at}`
    return new EngineError('model-format', `${this.source.name}: ${what} (${where}).`, {
      hint: 'The file is no GGUF file that this engine can trust.',
      details: { file: this.source.name, offsetBytes: this.#at },
      cause,
    })
  }

  #truncated(end: number, what: string): EngineError {
    const { name, sizeBytes } = this.source
    return new EngineError(
      'model-corrupt',
      `${name} ends at byte ${sizeBytes}, inside its header: ${what} needs bytes up to ${end}.`,
      {
        hint: 'The file is incomplete. Download it again.',
        details: { file: name, offsetBytes: this.#at, neededBytes: end, sizeBytes },
      },
    )
  }
}
