import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type GpuDevice, openDevice } from './device.ts'
import { GpuMemory } from './memory.ts'
import { Readback, type ReadRange } from './readback.ts'

describe('a readback', () => {
  let gpu: GpuDevice
  let memory: GpuMemory
  beforeEach(async () => {
    gpu = await openDevice({ minimal: true })
    memory = new GpuMemory(gpu.device)
  })
  afterEach(() => gpu.destroy())

  function counting(first: number, count: number): GPUBuffer {
    const buffer = memory.allocate('numbers', count * 4, 'scratch')
    gpu.device.queue.writeBuffer(
      buffer,
      0,
      Uint32Array.from({ length: count }, (_, k) => first + k),
    )
    return buffer
  }

  async function read(readback: Readback, ranges: ReadRange[]): Promise<number[][]> {
    const encoder = gpu.device.createCommandEncoder()
    readback.encode(encoder, ranges)
    gpu.device.queue.submit([encoder.finish()])
    return (await readback.finish(ranges)).map((bytes) => [...new Uint32Array(bytes)])
  }

  it('gives each range of each buffer, in the order asked for, with one map', async () => {
    const readback = new Readback(gpu, memory, 64)
    const [a, b] = [counting(100, 8), counting(200, 8)]
    const ranges = [
      { buffer: b, offsetBytes: 20, bytes: 8 },
      { buffer: a, offsetBytes: 0, bytes: 4 },
      { buffer: b, offsetBytes: 0, bytes: 12 },
    ]
    expect(await read(readback, ranges)).toEqual([[205, 206], [100], [200, 201, 202]])
    expect(readback.count).toBe(1)
    gpu.check()
  })

  it('copies out, so that a later read does not change an earlier one', async () => {
    const readback = new Readback(gpu, memory, 64)
    const [a, b] = [counting(1, 4), counting(9, 4)]
    const first = await read(readback, [{ buffer: a, offsetBytes: 0, bytes: 16 }])
    const second = await read(readback, [{ buffer: b, offsetBytes: 0, bytes: 16 }])
    expect([first, second]).toEqual([[[1, 2, 3, 4]], [[9, 10, 11, 12]]])
  })

  it('grows once for a read that does not fit, and gives the old bytes back', async () => {
    const readback = new Readback(gpu, memory, 32)
    const buffer = counting(1, 64)
    const before = memory.usage().scratchBytes
    const [whole] = await read(readback, [{ buffer, offsetBytes: 0, bytes: 256 }])
    expect(whole).toEqual(Array.from({ length: 64 }, (_, k) => k + 1))
    expect(memory.usage().scratchBytes).toBe(before - 32 + 256)
    expect(await read(readback, [{ buffer, offsetBytes: 4, bytes: 8 }])).toEqual([[2, 3]])
    expect(memory.usage().scratchBytes).toBe(before - 32 + 256)
    gpu.check()
  })

  it('ends with device-lost when the device goes before the bytes arrive', async () => {
    const readback = new Readback(gpu, memory, 64)
    const ranges = [{ buffer: counting(1, 4), offsetBytes: 0, bytes: 16 }]
    const reading = read(readback, ranges)
    gpu.device.destroy()
    await expect(reading).rejects.toMatchObject({ code: 'device-lost' })
    await gpu.device.lost
    await expect(read(readback, ranges)).rejects.toMatchObject({ code: 'device-lost' })
  })
})
