import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type GpuDevice, openDevice } from './device.ts'
import { GpuMemory } from './memory.ts'

const NOTHING = { gpuBytes: 0, weightBytes: 0, kvBytes: 0, scratchBytes: 0 }

describe('GPU memory', () => {
  let gpu: GpuDevice
  beforeEach(async () => {
    gpu = await openDevice({ minimal: true })
  })
  afterEach(() => {
    gpu.check()
    gpu.destroy()
  })

  it('counts bytes by purpose, in steps of 16, down to zero again', () => {
    const memory = new GpuMemory(gpu.device)
    const weight = memory.allocate('w', 100, 'weight')
    memory.allocate('k', 16, 'kv')
    memory.allocate('s', 0, 'scratch')
    expect(weight.size).toBe(112)
    expect(memory.usage()).toEqual({ gpuBytes: 144, weightBytes: 112, kvBytes: 16, scratchBytes: 16 })
    memory.free(weight)
    memory.free(weight)
    expect(memory.usage()).toEqual({ gpuBytes: 32, weightBytes: 0, kvBytes: 16, scratchBytes: 16 })
    memory.uniform(new ArrayBuffer(20))
    expect(memory.usage().scratchBytes).toBe(16 + 64 * 1024)
    memory.destroy()
    expect(memory.usage()).toEqual(NOTHING)
    memory.uniform(new ArrayBuffer(20))
    memory.destroy()
    expect(memory.usage()).toEqual(NOTHING)
  })

  it('ignores a buffer of another owner', () => {
    const [memory, other] = [new GpuMemory(gpu.device), new GpuMemory(gpu.device)]
    const buffer = other.allocate('theirs', 64, 'kv')
    memory.free(buffer)
    expect(memory.usage()).toEqual(NOTHING)
    expect(other.usage().kvBytes).toBe(64)
    other.destroy()
  })

  it('refuses a buffer over the limit of one binding, with both numbers', () => {
    const memory = new GpuMemory(gpu.device)
    const limitBytes = gpu.device.limits.maxStorageBufferBindingSize
    expect(limitBytes).toBe(128 * 2 ** 20)
    expect(() => memory.allocate('keys 0', limitBytes + 1, 'kv')).toThrow(
      expect.objectContaining({
        code: 'limit-too-small',
        message: `keys 0 needs ${limitBytes + 16} bytes in one buffer; the device allows ${limitBytes}.`,
        details: { neededBytes: limitBytes + 16, limitBytes },
      }),
    )
    expect(memory.usage()).toEqual(NOTHING)
  })

  it('refuses what would pass the budget, and only that', () => {
    const memory = new GpuMemory(gpu.device, 1024)
    memory.allocate('w', 1000, 'weight')
    expect(() => memory.allocate('x', 17, 'scratch')).toThrow(
      expect.objectContaining({
        code: 'limit-too-small',
        message: 'x would bring GPU memory to 1040 bytes; the budget is 1024.',
        details: { budgetBytes: 1024 },
      }),
    )
    expect(memory.usage().gpuBytes).toBe(1008)
    memory.allocate('fits', 16, 'scratch')
    expect(memory.usage().gpuBytes).toBe(1024)
    memory.destroy()
  })

  it('gives uniforms their own aligned ranges, in a new chunk when one is full', () => {
    const memory = new GpuMemory(gpu.device)
    const ranges = Array.from({ length: 257 }, () => memory.uniform(new ArrayBuffer(20)))
    const places = ranges.map(({ offset }) => offset)
    expect(places.slice(0, 3)).toEqual([0, 256, 512])
    expect(ranges.every(({ size, offset }) => size === 32 && (offset ?? 1) % 256 === 0)).toBe(true)
    expect(new Set(ranges.slice(0, 256).map(({ buffer }) => buffer)).size).toBe(1)
    expect(ranges[256]?.buffer).not.toBe(ranges[0]?.buffer)
    expect(places[256]).toBe(0)
    expect(() => memory.uniform(new ArrayBuffer(64 * 1024 + 4))).toThrow(RangeError)
    memory.destroy()
  })
})
