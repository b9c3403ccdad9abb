// One staging buffer for what a step gives back: several copies, one awaited map.
import { EngineError } from '../errors.ts'
import type { GpuDevice } from './device.ts'
import type { GpuMemory } from './memory.ts'

/** A range to read: `bytes` from `offsetBytes` of `buffer`; both multiples of 4. */
export interface ReadRange {
  buffer: GPUBuffer
  offsetBytes: number
  bytes: number
}

/** A reusable staging buffer; one read at a time. */
export class Readback {
  readonly #gpu: GpuDevice
  readonly #memory: GpuMemory
  #staging: GPUBuffer
  /** Awaited maps since creation. */
  count = 0

  constructor(gpu: GpuDevice, memory: GpuMemory, bytes: number) {
    this.#gpu = gpu
    this.#memory = memory
    this.#staging = this.#allocate(bytes)
  }

  #allocate(bytes: number): GPUBuffer {
    return this.#memory.allocate(
      'readback',
      bytes,
      'scratch',
      GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
    )
  }

  /** Appends the copies to `encoder`; call `finish` after its submit. */
  encode(encoder: GPUCommandEncoder, ranges: readonly ReadRange[]): void {
    const total = ranges.reduce((sum, range) => sum + range.bytes, 0)
    if (total > this.#staging.size) {
      // The old one stays usable when the budget refuses a larger one.
      const larger = this.#allocate(total)
      this.#memory.free(this.#staging)
      this.#staging = larger
    }
    let at = 0
    for (const { buffer, offsetBytes, bytes } of ranges) {
      encoder.copyBufferToBuffer(buffer, offsetBytes, this.#staging, at, bytes)
      at += bytes
    }
  }

  /**
   * The bytes of each range, copied out.
   * @throws EngineError `device-lost` or what the device reported
   */
  async finish(ranges: readonly ReadRange[]): Promise<ArrayBuffer[]> {
    const total = ranges.reduce((sum, range) => sum + range.bytes, 0)
    this.count++
    try {
      await this.#staging.mapAsync(GPUMapMode.READ, 0, total)
    } catch (cause) {
      this.#gpu.check()
      throw new EngineError('device-lost', 'The graphics device stopped before its results were read.', {
        hint: 'The next request starts the device and the model again.',
        cause,
      })
    }
    const mapped = this.#staging.getMappedRange(0, total)
    let at = 0
    const results = ranges.map(({ bytes }) => {
      const copy = mapped.slice(at, at + bytes)
      at += bytes
      return copy
    })
    this.#staging.unmap()
    this.#gpu.check()
    return results
  }
}
