// Every GPU byte the engine holds: allocation by purpose, the budget, and freeing.
import { EngineError } from '../errors.ts'
import type { MemoryUsage } from '../protocol.ts'

export type MemoryPurpose = 'weight' | 'kv' | 'scratch'

/** Size of one uniform slot: the alignment every device accepts. */
const UNIFORM_STRIDE_BYTES = 256
const UNIFORM_CHUNK_BYTES = 64 * 1024

/** Owns all buffers made through it; `destroy` frees them. */
export class GpuMemory {
  readonly device: GPUDevice
  readonly #buffers = new Set<GPUBuffer>()
  readonly #purposes = new Map<GPUBuffer, MemoryPurpose>()
  readonly #totals: Record<MemoryPurpose, number> = { weight: 0, kv: 0, scratch: 0 }
  #uniforms: { buffer: GPUBuffer; usedBytes: number } | undefined
  budgetBytes: number

  constructor(device: GPUDevice, budgetBytes = Number.POSITIVE_INFINITY) {
    this.device = device
    this.budgetBytes = budgetBytes
  }

  /**
   * A zeroed buffer that `destroy` or `free` returns.
   * @param bytes rounded up to 16
   * @throws EngineError `limit-too-small` over the device's limits or the budget
   */
  allocate(label: string, bytes: number, purpose: MemoryPurpose, usage?: GPUBufferUsageFlags): GPUBuffer {
    const size = Math.max(16, Math.ceil(bytes / 16) * 16)
    const limit = Math.min(this.device.limits.maxBufferSize, this.device.limits.maxStorageBufferBindingSize)
    if (size > limit) {
      throw new EngineError(
        'limit-too-small',
        `${label} needs ${size} bytes in one buffer; the device allows ${limit}.`,
        {
          hint: 'Choose a shorter context or a smaller model for this device.',
          details: { neededBytes: size, limitBytes: limit },
        },
      )
    }
    if (this.usage().gpuBytes + size > this.budgetBytes) {
      throw new EngineError(
        'limit-too-small',
        `${label} would bring GPU memory to ${this.usage().gpuBytes + size} bytes; the budget is ${this.budgetBytes}.`,
        {
          hint: 'Raise gpuBudgetBytes or choose a shorter context.',
          details: { budgetBytes: this.budgetBytes },
        },
      )
    }
    const buffer = this.device.createBuffer({
      label,
      size,
      usage: usage ?? GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC,
    })
    this.#buffers.add(buffer)
    this.#purposes.set(buffer, purpose)
    this.#totals[purpose] += size
    return buffer
  }

  /** A 256-byte aligned uniform range holding `data`; lives as long as this memory. */
  uniform(data: ArrayBuffer): GPUBufferBinding {
    if (data.byteLength > UNIFORM_CHUNK_BYTES) throw new RangeError('uniform data exceeds a chunk')
    const step = Math.ceil(data.byteLength / UNIFORM_STRIDE_BYTES) * UNIFORM_STRIDE_BYTES
    if (this.#uniforms === undefined || this.#uniforms.usedBytes + step > UNIFORM_CHUNK_BYTES) {
      const usage = GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST
      this.#uniforms = {
        buffer: this.allocate('params', UNIFORM_CHUNK_BYTES, 'scratch', usage),
        usedBytes: 0,
      }
    }
    const { buffer, usedBytes } = this.#uniforms
    this.#uniforms.usedBytes += step
    this.device.queue.writeBuffer(buffer, usedBytes, data)
    return { buffer, offset: usedBytes, size: Math.ceil(data.byteLength / 16) * 16 }
  }

  /** Frees one buffer before the others. */
  free(buffer: GPUBuffer): void {
    const purpose = this.#purposes.get(buffer)
    if (purpose === undefined) return
    this.#totals[purpose] -= buffer.size
    this.#purposes.delete(buffer)
    this.#buffers.delete(buffer)
    buffer.destroy()
  }

  usage(): MemoryUsage {
    const { weight, kv, scratch } = this.#totals
    return { gpuBytes: weight + kv + scratch, weightBytes: weight, kvBytes: kv, scratchBytes: scratch }
  }

  destroy(): void {
    for (const buffer of [...this.#buffers]) this.free(buffer)
    this.#uniforms = undefined
  }
}
