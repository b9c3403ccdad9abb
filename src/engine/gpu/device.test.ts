import { afterEach, describe, expect, it, vi } from 'vitest'
import { EngineError } from '../errors.ts'
import { openDevice } from './device.ts'

async function failure(): Promise<EngineError> {
  const error = await openDevice().catch((caught: unknown) => caught)
  expect(error).toBeInstanceOf(EngineError)
  return error as EngineError
}

describe('openDevice', () => {
  afterEach(() => vi.unstubAllGlobals())

  it('says what to do where WebGPU does not exist', async () => {
    vi.stubGlobal('navigator', {})
    const error = await failure()
    expect(error.code).toBe('webgpu-missing')
    expect(error.hint).toMatch(/https/)
  })

  it('says what to do where there is no navigator at all', async () => {
    vi.stubGlobal('navigator', undefined)
    expect((await failure()).code).toBe('webgpu-missing')
  })

  it('says what to do where no adapter is found', async () => {
    vi.stubGlobal('navigator', { gpu: { requestAdapter: async () => null } })
    const error = await failure()
    expect(error.code).toBe('adapter-missing')
    expect(error.hint).toMatch(/hardware acceleration/)
  })
})
