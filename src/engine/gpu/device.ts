// The device: adapter, limits, features, and the one place where loss and uncaptured errors arrive.
import { EngineError, isAbort } from '../errors.ts'
import type { DeviceInfo } from '../protocol.ts'

export interface DeviceRequest {
  /** No optional features and default limits, as the weakest conforming device has. */
  minimal?: boolean
}

/** Limits worth raising, and worth telling: names of `GPUSupportedLimits`. */
const LIMITS = [
  'maxStorageBufferBindingSize',
  'maxBufferSize',
  'maxStorageBuffersPerShaderStage',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupsPerDimension',
] as const

/** Features that variants of kernels may use; none is needed. */
const FEATURES: readonly GPUFeatureName[] = ['subgroups', 'shader-f16', 'timestamp-query']

/** An open device with its facts; `destroy` frees everything that was made on it. */
export interface GpuDevice {
  readonly device: GPUDevice
  readonly info: DeviceInfo
  /** The error that ended this device or made its results void, if any. */
  readonly failure: EngineError | undefined
  /** Throws `failure` when there is one. */
  check(): void
  /** Called once when the device is lost or fails, except by `destroy`. */
  onFailure(listener: (error: EngineError) => void): void
  destroy(): void
}

/**
 * Opens a device.
 * @throws EngineError `webgpu-missing`, `adapter-missing`, `device-lost`
 */
export async function openDevice(request: DeviceRequest = {}): Promise<GpuDevice> {
  const gpu = (globalThis.navigator as Navigator | undefined)?.gpu
  if (gpu === undefined) {
    throw new EngineError('webgpu-missing', 'This browser has no WebGPU here.', {
      hint: 'Use a current Chrome, Edge, Safari or Firefox, on an https address or localhost.',
    })
  }
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' })
  if (adapter === null) {
    throw new EngineError('adapter-missing', 'WebGPU found no graphics adapter.', {
      hint: 'Turn on hardware acceleration in the browser’s settings, or update the graphics driver.',
    })
  }
  const requiredLimits: Record<string, number> = {}
  if (request.minimal !== true) for (const name of LIMITS) requiredLimits[name] = adapter.limits[name]
  const requiredFeatures =
    request.minimal === true ? [] : FEATURES.filter((name) => adapter.features.has(name))
  const device = await adapter
    .requestDevice({ label: 'switchyard', requiredLimits, requiredFeatures })
    .catch((cause: unknown) => {
      throw new EngineError('adapter-missing', 'The graphics adapter gave no device.', {
        hint: 'Reload the page; if it repeats, restart the browser or update the graphics driver.',
        cause,
      })
    })
  return watchDevice(device, describe(adapter, device))
}

function describe(adapter: GPUAdapter, device: GPUDevice): DeviceInfo {
  const { info } = adapter
  const limits: Record<string, number> = {}
  for (const name of LIMITS) limits[name] = device.limits[name]
  return {
    vendor: info.vendor,
    architecture: info.architecture,
    description: info.description,
    isFallback: info.isFallbackAdapter === true || info.architecture === 'swiftshader',
    features: [...device.features].sort(),
    limits,
  }
}

function watchDevice(device: GPUDevice, info: DeviceInfo): GpuDevice {
  let failure: EngineError | undefined
  let isClosing = false
  const listeners: ((error: EngineError) => void)[] = []
  const fail = (error: EngineError): void => {
    if (failure !== undefined) return
    failure = error
    for (const listener of listeners) listener(error)
  }
  device.addEventListener('uncapturederror', (event) =>
    fail(gpuError((event as GPUUncapturedErrorEvent).error)),
  )
  // `lost` resolves, never rejects.
  void device.lost.then((lost) => {
    if (isClosing) return
    fail(
      new EngineError('device-lost', `The graphics device was lost: ${lost.message || lost.reason}.`, {
        hint: 'The next request starts the device and the model again; close other heavy tabs if it repeats.',
        details: { reason: lost.reason },
      }),
    )
  })
  return {
    device,
    info,
    get failure() {
      return failure
    },
    check() {
      if (failure !== undefined) throw failure
    },
    onFailure(listener) {
      listeners.push(listener)
    },
    destroy() {
      isClosing = true
      device.destroy()
    },
  }
}

/** An `EngineError` for what an error scope or the device reported. */
export function gpuError(error: GPUError, cause?: unknown): EngineError {
  if (error instanceof GPUOutOfMemoryError) {
    return new EngineError('gpu-memory', `The device ran out of memory: ${error.message}`, {
      hint: 'Close other tabs that use the graphics card, or set a smaller context or budget.',
      cause,
    })
  }
  return new EngineError('internal', `WebGPU reported an error: ${error.message}`, {
    hint: 'This is a bug in Switchyard or in the browser. Please report it with the message.',
    cause,
  })
}

/**
 * Runs `work` with every GPU error of it captured.
 * @throws EngineError the first error that WebGPU reported
 */
export async function withErrorScopes<Result>(
  device: GPUDevice,
  work: () => Promise<Result>,
): Promise<Result> {
  for (const filter of ['internal', 'out-of-memory', 'validation'] as const) device.pushErrorScope(filter)
  let result: Result | undefined
  let thrown: { error: unknown } | undefined
  try {
    result = await work()
  } catch (error) {
    thrown = { error }
  }
  let reported: GPUError | null = null
  for (let scope = 0; scope < 3; scope++)
    reported = (await device.popErrorScope().catch(() => null)) ?? reported
  // What WebGPU reported is the cause of what then went wrong; an abort stays an abort.
  if (reported !== null && !isAbort(thrown?.error)) throw gpuError(reported, thrown?.error)
  if (thrown !== undefined) throw thrown.error
  return result as Result
}
