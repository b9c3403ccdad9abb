import { describe, expect, it } from 'vitest'
import { DEVICE_KINDS } from '../../../test/gpu-fixture.ts'
import type { EngineError } from '../errors.ts'
import { type GpuDevice, openDevice, withErrorScopes } from './device.ts'

/** Makes a buffer that no device allows: a validation error without a consequence. */
function provoke({ device }: GpuDevice): void {
  device.createBuffer({ size: 16, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.MAP_WRITE })
}

/** The failure that `provoke` leads to; the wait for the queue makes the browser send what it holds back. */
async function provokedFailure(gpu: GpuDevice): Promise<EngineError> {
  const told = failed(gpu)
  provoke(gpu)
  await gpu.device.queue.onSubmittedWorkDone()
  return told
}

function failed(gpu: GpuDevice): Promise<EngineError> {
  return new Promise((resolve) => gpu.onFailure(resolve))
}

describe('a minimal device', () => {
  it('has no optional feature and the limits of the weakest conforming one', async () => {
    const { device, info, destroy } = await openDevice({ minimal: true })
    // A feature of the core of WebGPU that newer browsers list is no optional one.
    expect(info.features.filter((name) => name !== 'core-features-and-limits')).toEqual([])
    expect(info.limits).toEqual({
      maxStorageBufferBindingSize: 128 * 2 ** 20,
      maxBufferSize: 256 * 2 ** 20,
      maxStorageBuffersPerShaderStage: 8,
      maxComputeWorkgroupStorageSize: 16_384,
      maxComputeInvocationsPerWorkgroup: 256,
      maxComputeWorkgroupsPerDimension: 65_535,
    })
    expect(device.limits.maxBufferSize).toBe(256 * 2 ** 20)
    destroy()
  })
})

describe('a full device', () => {
  it('has the limits of its adapter', async () => {
    const adapter = await navigator.gpu.requestAdapter({ powerPreference: 'high-performance' })
    const { info, destroy } = await openDevice()
    expect(info.limits['maxBufferSize']).toBe(adapter?.limits.maxBufferSize)
    expect(info.limits['maxStorageBufferBindingSize']).toBe(adapter?.limits.maxStorageBufferBindingSize)
    expect(info.features).toEqual([...info.features].sort())
    destroy()
  })
})

describe.each(DEVICE_KINDS)('a %s device', (kind) => {
  const open = () => openDevice({ minimal: kind === 'minimal' })

  it('tells when it is destroyed from outside, from then on', async () => {
    const gpu = await open()
    gpu.check()
    const told = failed(gpu)
    gpu.device.destroy()
    const error = await told
    expect(error.code).toBe('device-lost')
    expect(error.details).toEqual({ reason: 'destroyed' })
    expect(gpu.failure).toBe(error)
    expect(() => gpu.check()).toThrow(error)
  })

  it('is silent about its own destroy', async () => {
    const gpu = await open()
    let isTold = false
    gpu.onFailure(() => {
      isTold = true
    })
    gpu.destroy()
    await gpu.device.lost
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(isTold).toBe(false)
    expect(gpu.failure).toBeUndefined()
  })

  it('fails once on an error that nobody captured', async () => {
    const gpu = await open()
    const error = await provokedFailure(gpu)
    expect(error.code).toBe('internal')
    expect(error.message).toMatch(/^WebGPU reported an error: ./)
    provoke(gpu)
    gpu.device.destroy()
    await gpu.device.lost
    expect(gpu.failure).toBe(error)
  })
})

describe('withErrorScopes', () => {
  it('turns what WebGPU reports into an error of the work, and of nothing else', async () => {
    const gpu = await openDevice()
    const work = withErrorScopes(gpu.device, async () => provoke(gpu))
    await expect(work).rejects.toMatchObject({ code: 'internal', message: expect.stringContaining('usage') })
    await gpu.device.queue.onSubmittedWorkDone()
    expect(gpu.failure).toBeUndefined()
    expect(await withErrorScopes(gpu.device, async () => 7)).toBe(7)
    gpu.destroy()
  })

  it('names what WebGPU reported as the failure, with what the work threw as its cause', async () => {
    const gpu = await openDevice()
    const own = new RangeError('own')
    const work = withErrorScopes(gpu.device, async () => {
      provoke(gpu)
      throw own
    })
    await expect(work).rejects.toMatchObject({ code: 'internal', cause: own })
    // Were a scope left, this error would stay in it.
    expect((await provokedFailure(gpu)).code).toBe('internal')
    gpu.destroy()
  })

  it('passes on what the work throws when WebGPU reports nothing, and an abort in any case', async () => {
    const gpu = await openDevice()
    const own = new RangeError('own')
    const fails = withErrorScopes(gpu.device, async () => {
      throw own
    })
    await expect(fails).rejects.toBe(own)
    const abort = new DOMException('Stopped.', 'AbortError')
    const aborts = withErrorScopes(gpu.device, async () => {
      provoke(gpu)
      throw abort
    })
    await expect(aborts).rejects.toBe(abort)
    gpu.destroy()
  })
})
