// The resident tensors of a model on the GPU, by name; filled from record groups as they arrive.
import { internalError } from '../errors.ts'
import type { GpuMemory } from '../gpu/memory.ts'
import type { GpuMatrix } from '../ops/op.ts'
import type { PackedTensor, PlaneRange } from '../store/manifest.ts'

interface Plane {
  range: PlaneRange
  buffer: GPUBuffer
}

/** Weights in GPU buffers that `memory` owns. */
export class GpuWeights {
  readonly #tensors = new Map<string, { tensor: PackedTensor; codes: GPUBuffer; scales: GPUBuffer }>()
  readonly #planes = new Map<string, Plane[]>()
  readonly #device: GPUDevice

  /** Allocates a buffer for every plane of `tensors`; contents follow by `write`. */
  constructor(memory: GpuMemory, tensors: readonly PackedTensor[]) {
    this.#device = memory.device
    // Formats without scales still bind a buffer there.
    const noScales = memory.allocate('no scales', 16, 'scratch')
    for (const tensor of tensors) {
      const codes = this.#plane(memory, tensor, tensor.codes)
      const scales = tensor.scales === undefined ? noScales : this.#plane(memory, tensor, tensor.scales)
      this.#tensors.set(tensor.name, { tensor, codes, scales })
    }
  }

  #plane(memory: GpuMemory, tensor: PackedTensor, range: PlaneRange): GPUBuffer {
    const buffer = memory.allocate(tensor.name, range.bytes, 'weight')
    const planes = this.#planes.get(tensor.group) ?? []
    planes.push({ range, buffer })
    this.#planes.set(tensor.group, planes)
    return buffer
  }

  /** Writes the bytes of `group` that begin at `offsetBytes` to the planes they belong to. */
  write(group: string, offsetBytes: number, bytes: Uint8Array<ArrayBuffer>): void {
    const end = offsetBytes + bytes.byteLength
    for (const { range, buffer } of this.#planes.get(group) ?? []) {
      const from = Math.max(offsetBytes, range.offsetBytes)
      const to = Math.min(end, range.offsetBytes + range.bytes)
      if (from >= to) continue
      this.#device.queue.writeBuffer(buffer, from - range.offsetBytes, bytes, from - offsetBytes, to - from)
    }
  }

  has(name: string): boolean {
    return this.#tensors.has(name)
  }

  /** The matrix `name`. */
  matrix(name: string): GpuMatrix {
    const { tensor, codes, scales } = this.#get(name)
    return { format: tensor.format, rows: tensor.rows, columns: tensor.columns, codes, scales }
  }

  /** The buffer of a tensor without scales. */
  buffer(name: string): GPUBuffer {
    return this.#get(name).codes
  }

  #get(name: string): { tensor: PackedTensor; codes: GPUBuffer; scales: GPUBuffer } {
    const found = this.#tensors.get(name)
    if (found === undefined) throw internalError('model/weights', `no tensor ${name}`)
    return found
  }
}
