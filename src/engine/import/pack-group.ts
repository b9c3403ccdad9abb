// One group from source ranges to record parts, in row slices: the heap holds a slice and a part.
import { EngineError, internalError } from '../errors.ts'
import { GROUP_ROWS, packedBytes, roundUp } from '../store/manifest.ts'
import type { ByteSource } from './byte-source.ts'
import type { GgufTensor } from './gguf.ts'
import { packAux, packPlain, packRows } from './pack.ts'
import { floatFormat, type PlannedGroup, type PlannedTensor, sourcesOf } from './pack-plan.ts'
import { SpanReader } from './span-reader.ts'

/** Longest record of a group. */
export const PART_BYTES = 16 * 2 ** 20
const SLICE_BYTES = 4 * 2 ** 20

export interface PackGroupOptions {
  sources: readonly ByteSource[]
  group: PlannedGroup
  /** Receives the parts in order; each owns its memory. The next one waits for it; `'stop'` ends the work. */
  onPart: (part: number, bytes: Uint8Array<ArrayBuffer>) => Promise<'stop' | undefined>
  onRead?: ((bytes: number) => void) | undefined
  signal?: AbortSignal | undefined
}

/**
 * Reads a group's tensors and hands out its bytes, the same for the same file.
 * @throws `model-corrupt` for a number that is not finite; what the sources and `onPart` throw.
 */
export async function packGroup({ sources, group, onPart, onRead, signal }: PackGroupOptions): Promise<void> {
  const spans = new SpanReader(sources, group.tensors.flatMap(sourcesOf), signal, onRead)
  const parts = new PartWriter(group.bytes, onPart)
  for (const tensor of group.tensors) {
    await packTensor(tensor, spans, parts)
    if (parts.isStopped) return
  }
  await parts.finish()
}

/** Number of records of a group. */
export function partCount(group: PlannedGroup): number {
  return Math.max(1, Math.ceil(group.bytes / PART_BYTES))
}

async function packTensor(tensor: PlannedTensor, spans: SpanReader, parts: PartWriter): Promise<void> {
  if (tensor.layout === 'rows32') return packMatrix(tensor, spans, parts)
  const plane = new Uint8Array(roundUp(tensor.packed.codes.bytes, 16))
  if (tensor.layout === 'plain') {
    const { source } = tensor
    const target = new Float32Array(plane.buffer, 0, tensor.packed.rows * tensor.packed.columns)
    checkFinite(source, packPlain(floatFormat(source), await spans.read(source), target))
  } else {
    for (const { source, firstWord, rows, inner } of tensor.sources) {
      const target = new Uint16Array(plane.buffer, firstWord * 16)
      checkFinite(source, packAux(floatFormat(source), await spans.read(source), rows, inner, target))
    }
  }
  await parts.append(plane)
}

type PlannedMatrix = Extract<PlannedTensor, { layout: 'rows32' }>

/** Codes leave slice by slice; the scales, a small part, wait until the codes are out. */
async function packMatrix(
  { packed, sources }: PlannedMatrix,
  spans: SpanReader,
  parts: PartWriter,
): Promise<void> {
  const { format, columns, rows } = packed
  const perGroup = packedBytes(format, GROUP_ROWS, columns)
  const scales = new Uint32Array(packedBytes(format, rows, columns).scales / 4)
  let group = 0
  for (const { source, firstRow, rows: sourceRows } of sources) {
    const gap = firstRow / GROUP_ROWS - group
    if (gap > 0) await parts.append(new Uint8Array(gap * perGroup.codes))
    group += gap
    const rowBytes = source.bytes / sourceRows
    const sliceRows = Math.max(1, Math.floor(SLICE_BYTES / (rowBytes * GROUP_ROWS))) * GROUP_ROWS
    for (let row = 0; row < sourceRows; row += sliceRows) {
      const taken = Math.min(sliceRows, sourceRows - row)
      const groups = Math.ceil(taken / GROUP_ROWS)
      const bytes = await spans.read(source, row * rowBytes, taken * rowBytes)
      const codes = new Uint32Array((groups * perGroup.codes) / 4)
      const ownScales = scales.subarray(
        (group * perGroup.scales) / 4,
        ((group + groups) * perGroup.scales) / 4,
      )
      checkFinite(source, packRows({ format, source: bytes, rows: taken, columns }, codes, ownScales))
      await parts.append(new Uint8Array(codes.buffer))
      if (parts.isStopped) return
      group += groups
    }
  }
  await parts.append(new Uint8Array(scales.buffer))
}

function checkFinite(source: GgufTensor, allFinite: boolean): void {
  if (allFinite) return
  throw new EngineError(
    'model-corrupt',
    `Tensor ${source.name} holds a number or scale that is not finite in f16 or f32.`,
    {
      hint: 'The file is damaged or was converted wrongly. Download or convert it again.',
      details: { tensor: source.name, type: source.type.name },
    },
  )
}

/** Cuts a group's bytes into parts of equal length, the last one shorter. */
class PartWriter {
  readonly #onPart: PackGroupOptions['onPart']
  #restBytes: number
  #part: Uint8Array<ArrayBuffer>
  #filled = 0
  #count = 0
  isStopped = false

  constructor(bytes: number, onPart: PackGroupOptions['onPart']) {
    this.#onPart = onPart
    this.#restBytes = bytes
    this.#part = new Uint8Array(Math.min(bytes, PART_BYTES))
  }

  async append(bytes: Uint8Array): Promise<void> {
    if (bytes.byteLength > this.#restBytes - this.#filled) {
      throw internalError(
        'pack-group',
        `${bytes.byteLength} bytes for ${this.#restBytes - this.#filled} planned`,
      )
    }
    for (let at = 0; at < bytes.byteLength && !this.isStopped; ) {
      const step = Math.min(bytes.byteLength - at, this.#part.byteLength - this.#filled)
      this.#part.set(bytes.subarray(at, at + step), this.#filled)
      this.#filled += step
      at += step
      if (this.#filled === this.#part.byteLength) await this.#flush()
    }
  }

  async finish(): Promise<void> {
    if (this.#filled > 0 && !this.isStopped) await this.#flush()
  }

  async #flush(): Promise<void> {
    const part = this.#part
    this.#restBytes -= part.byteLength
    this.#part = new Uint8Array(Math.min(this.#restBytes, PART_BYTES))
    this.#filled = 0
    this.isStopped = (await this.#onPart(this.#count++, part)) === 'stop'
  }
}
