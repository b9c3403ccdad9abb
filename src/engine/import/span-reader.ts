// Few large reads instead of many small ones: the tensors of a group mostly lie side by side in the file.
import type { ByteSource } from './byte-source.ts'
import type { GgufTensor } from './gguf.ts'

/** Tensors above this size are read by slices and never held whole. */
const LONGEST_SPAN_BYTES = 16 * 2 ** 20
const LARGEST_GAP_BYTES = 4096

interface Span {
  shard: number
  start: number
  end: number
  bytes?: Uint8Array<ArrayBuffer>
}

/** Reads a set of tensors, each span of neighbors at once; lives as long as one group's packing. */
export class SpanReader {
  readonly #sources: readonly ByteSource[]
  readonly #spans: Span[]
  readonly #signal: AbortSignal | undefined
  readonly #onRead: ((bytes: number) => void) | undefined

  constructor(
    sources: readonly ByteSource[],
    tensors: readonly GgufTensor[],
    signal?: AbortSignal,
    onRead?: (bytes: number) => void,
  ) {
    this.#sources = sources
    this.#spans = mergeSpans(tensors)
    this.#signal = signal
    this.#onRead = onRead
  }

  /** Bytes of a tensor, or a range of them; a view that must not be written. */
  async read(tensor: GgufTensor, offset = 0, length = tensor.bytes): Promise<Uint8Array> {
    const start = tensor.offsetBytes + offset
    const span = this.#spans.find(
      ({ shard, start: first, end }) => shard === tensor.shard && first <= start && start + length <= end,
    )
    if (span === undefined) return this.#fetch(tensor.shard, start, length)
    span.bytes ??= await this.#fetch(span.shard, span.start, span.end - span.start)
    return span.bytes.subarray(start - span.start, start - span.start + length)
  }

  async #fetch(shard: number, start: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    let reported = 0
    const source = this.#sources[shard] as ByteSource
    return source.read(start, length, this.#signal, (received) => {
      this.#onRead?.(received - reported)
      reported = received
    })
  }
}

function mergeSpans(tensors: readonly GgufTensor[]): Span[] {
  const sorted = tensors
    .filter(({ bytes }) => bytes <= LONGEST_SPAN_BYTES)
    .sort((a, b) => a.shard - b.shard || a.offsetBytes - b.offsetBytes)
  const spans: Span[] = []
  for (const { shard, offsetBytes, bytes } of sorted) {
    const last = spans.at(-1)
    const end = offsetBytes + bytes
    const isNear = last !== undefined && last.shard === shard && offsetBytes - last.end <= LARGEST_GAP_BYTES
    if (isNear && end - last.start <= LONGEST_SPAN_BYTES) last.end = end
    else spans.push({ shard, start: offsetBytes, end })
  }
  return spans
}
