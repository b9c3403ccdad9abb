// What GPU tests share: a device of each kind, buffers filled or poisoned, results read back.
import { openDevice, withErrorScopes } from '../src/engine/gpu/device.ts'
import { KernelLibrary } from '../src/engine/gpu/kernel.ts'
import { GpuMemory } from '../src/engine/gpu/memory.ts'
import { Readback } from '../src/engine/gpu/readback.ts'
import type { Blueprint } from '../src/engine/model/blueprint.ts'
import type { GpuMatrix, Op, OpContext, Step, TileColumns } from '../src/engine/ops/op.ts'
import { GROUP_ROWS, type PackedFormat, packedBytes, roundUp } from '../src/engine/store/manifest.ts'

/** Every kernel test runs on the device as it is and on one without features and with default limits. */
export const DEVICE_KINDS = ['full', 'minimal'] as const
export type DeviceKind = (typeof DEVICE_KINDS)[number]

export type Bytes = Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer> | Uint8Array<ArrayBuffer>

/** A device with what ops need; `close` fails the test on any error the device reported. */
export async function openTestGpu(kind: DeviceKind = 'full') {
  const gpu = await openDevice({ minimal: kind === 'minimal' })
  const memory = new GpuMemory(gpu.device)
  const state = memory.allocate('state', 544, 'scratch', GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST)
  const context: OpContext = { library: new KernelLibrary(gpu.device), memory, state }
  const readback = new Readback(gpu, memory, 1024)
  const buffer = (data: Bytes): GPUBuffer => {
    const made = memory.allocate('test', data.byteLength, 'scratch')
    gpu.device.queue.writeBuffer(made, 0, data)
    return made
  }
  /** Runs ops in one pass and reads `outputs` whole, each rounded up to 16 bytes. */
  const read = (ops: readonly Op[], step: Step, outputs: readonly GPUBuffer[]): Promise<ArrayBuffer[]> =>
    withErrorScopes(gpu.device, async () => {
      const encoder = gpu.device.createCommandEncoder()
      const pass = encoder.beginComputePass()
      for (const op of ops) op.encode(pass, step)
      pass.end()
      const ranges = outputs.map((output) => ({ buffer: output, offsetBytes: 0, bytes: output.size }))
      readback.encode(encoder, ranges)
      gpu.device.queue.submit([encoder.finish()])
      return readback.finish(ranges)
    })
  return {
    gpu,
    memory,
    context,
    buffer,
    /** A buffer of `count` NaNs: what is read before it is written shows. */
    poisoned: (count: number): GPUBuffer => buffer(new Float32Array(roundUp(count, 4)).fill(Number.NaN)),
    matrix(packed: RandomMatrix): GpuMatrix {
      const { format, rows, columns } = packed
      return { format, rows, columns, codes: buffer(packed.codes), scales: buffer(packed.scales) }
    },
    writeState(values: {
      position?: number
      tokens?: number[]
      logitsToken?: number
      penalty?: number
      temperature?: number
      forced?: boolean
    }) {
      const data = new DataView(new ArrayBuffer(544))
      const tokens = values.tokens ?? [0]
      data.setUint32(0, values.position ?? 0, true)
      data.setUint32(4, tokens.length, true)
      data.setUint32(8, values.logitsToken ?? 0, true)
      data.setUint32(12, values.forced === true ? 1 : 0, true)
      data.setFloat32(16, 1 / (values.temperature ?? 1), true)
      data.setFloat32(20, values.penalty ?? 1, true)
      for (const [index, token] of tokens.entries()) data.setUint32(32 + 4 * index, token, true)
      gpu.device.queue.writeBuffer(state, 0, data.buffer)
    },
    read,
    /** Runs ops in one pass and reads `output` as f32. */
    async run(ops: readonly Op[], step: Step, output: GPUBuffer): Promise<Float32Array> {
      const [bytes] = await read(ops, step, [output])
      return new Float32Array(bytes as ArrayBuffer)
    },
    close() {
      gpu.check()
      memory.destroy()
      gpu.destroy()
    },
  }
}

export type TestGpu = Awaited<ReturnType<typeof openTestGpu>>

/** A small generator of repeatable numbers in [−1, 1). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0 || 1
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) / 2 ** 31 - 1
  }
}

export function randomNumbers(count: number, seed: number): Float32Array<ArrayBuffer> {
  const next = seeded(seed)
  return Float32Array.from({ length: count }, next)
}

export interface RandomMatrix {
  format: PackedFormat
  rows: number
  columns: number
  codes: Uint8Array<ArrayBuffer>
  scales: Uint8Array<ArrayBuffer>
}

/** Random codes and scales in the packed layout: every bit pattern of the codes occurs. */
export function randomMatrix(
  format: PackedFormat,
  rows: number,
  columns: number,
  seed: number,
): RandomMatrix {
  const sizes = packedBytes(format, rows, columns)
  const next = seeded(seed)
  const codes = new Uint8Array(sizes.codes)
  const words = new DataView(codes.buffer)
  for (let at = 0; at < sizes.codes; at += 4) {
    if (format === 'f32') words.setFloat32(at, next(), true)
    else if (format === 'f16') words.setUint32(at, halfBits(next()) | (halfBits(next()) << 16), true)
    else words.setUint32(at, ((next() + 1) * 2 ** 31) >>> 0, true)
  }
  const scales = new Uint8Array(sizes.scales)
  const pairs = new DataView(scales.buffer)
  for (let at = 0; at < sizes.scales; at += 2) pairs.setUint16(at, halfBits(next() / 8), true)
  return { format, rows, columns, codes, scales: scales.length === 0 ? new Uint8Array(16) : scales }
}

/** f16 bits near `value` (|value| < 2), cut off: tests need exact halves, not rounding. */
export function halfBits(value: number): number {
  const magnitude = Math.abs(value)
  if (magnitude < 2 ** -14) return 0
  const exponent = Math.floor(Math.log2(magnitude))
  const fraction = Math.floor((magnitude / 2 ** exponent - 1) * 1024)
  return ((value < 0 ? 0x8000 : 0) | ((exponent + 15) << 10) | fraction) & 0xffff
}

/** Dense [rows, columns] as an f32 matrix in layout `rows32`; padding rows are zeros. */
export function packF32(values: ArrayLike<number>, rows: number, columns: number): RandomMatrix {
  const codes = new Float32Array(packedBytes('f32', rows, columns).codes / 4)
  for (let row = 0; row < rows; row++) {
    for (let k = 0; k < columns; k++) {
      const chunk = (Math.floor(row / GROUP_ROWS) * columns) / 4 + Math.floor(k / 4)
      codes[(chunk * GROUP_ROWS + (row % GROUP_ROWS)) * 4 + (k % 4)] = values[row * columns + k] as number
    }
  }
  return { format: 'f32', rows, columns, codes: new Uint8Array(codes.buffer), scales: new Uint8Array(16) }
}

/** A blueprint of unequal sizes; tests change what they are about. */
export function testBlueprint(changes: Partial<Blueprint> = {}): Blueprint {
  const gate = { rowCenter: 5, rowRight: 12, columnLeft: 10, columnCenter: 9, leftBond: 4, rightBond: 11 }
  const down = { rowCenter: 18, rowRight: 5, columnLeft: 15, columnCenter: 4, leftBond: 3, rightBond: 6 }
  return {
    architecture: 'mpoe-llama',
    layers: 2,
    hiddenSize: 90,
    heads: 6,
    kvHeads: 2,
    headSize: 16,
    ffnSize: 60,
    vocabularySize: 71,
    contextTokens: 8192,
    rmsEps: 1e-5,
    ropeBase: 10_000,
    ropeDimensions: 16,
    tiedHead: true,
    router: { score: 'softmax', topK: 2, renormalize: true, scale: 1 },
    experts: { kind: 'mpo-skew', count: 5, gate, up: { ...gate, rightBond: 13 }, down },
    ...changes,
  }
}

/** Columns [count][length] → tiled memory order, the rest of the last tile filled with `rest`. */
export function tile(
  columns: readonly ArrayLike<number>[],
  width: TileColumns,
  rest = 0,
): Float32Array<ArrayBuffer> {
  const length = columns[0]?.length ?? 0
  const tiled = new Float32Array(roundUp(columns.length, width) * length).fill(rest)
  for (const [column, values] of columns.entries()) {
    for (let k = 0; k < length; k++) tiled[tiledIndex(column, k, length, width)] = values[k] as number
  }
  return tiled
}

export function tiledIndex(column: number, k: number, length: number, width: number): number {
  return (Math.floor(column / width) * length + k) * width + (column % width)
}

/** One column of a tiled buffer. */
export function tiledColumn(
  tiled: ArrayLike<number>,
  column: number,
  length: number,
  width: number,
): Float32Array {
  return Float32Array.from({ length }, (_, k) => tiled[tiledIndex(column, k, length, width)] as number)
}

/** Index of the first number that is not the same, NaN being the same as NaN; -1 when there is none. */
export function firstDifference(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  for (let index = 0; index < expected.length; index++) {
    const [a, b] = [actual[index], expected[index]]
    if (a !== b && !(Number.isNaN(a) && Number.isNaN(b))) return index
  }
  return -1
}

/** Largest |actual − expected| over largest |expected|; NaN counts as infinite. */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  let error = 0
  let scale = 0
  for (let index = 0; index < expected.length; index++) {
    const difference = Math.abs((actual[index] as number) - (expected[index] as number))
    error = Math.max(error, Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference)
    scale = Math.max(scale, Math.abs(expected[index] as number))
  }
  return error / Math.max(scale, 1e-30)
}
