// From a `.wgsl` source to a dispatch: specialization, explicit layouts, parameters by name.
// Knows nothing of which kernels exist.
import { EngineError, internalError } from '../errors.ts'
import type { KernelSource } from './kernel-source.ts'
import type { GpuMemory } from './memory.ts'

/** Values for overrides and for lines marked `// spec`. */
export interface Specialization<Overrides extends string, Specs extends string> {
  overrides?: { [Name in Overrides]?: number | boolean }
  /** `const` specs take a number, `alias` specs a WGSL type. */
  specs?: { [Name in Specs]?: number | 'f32' | 'vec2f' | 'vec4f' }
}

/** A dispatch whose buffers and parameters are bound; encoding it creates nothing. */
export interface BoundKernel {
  readonly name: string
  encode(pass: GPUComputePassEncoder, x: number, y?: number, z?: number): void
}

/** A compiled kernel. */
export interface Kernel<Buffers extends string, Params extends string> {
  readonly name: string
  /** Binds buffers by name and writes parameters once; both last as long as `memory`. */
  bind(
    memory: GpuMemory,
    buffers: Record<Buffers, GPUBuffer | GPUBufferBinding>,
    params: Record<Params, number>,
  ): BoundKernel
}

type AnyKernel = Kernel<string, string>

/** Compiles kernels once per specialization and shares them. */
export class KernelLibrary {
  readonly #device: GPUDevice
  readonly #kernels = new Map<string, Promise<AnyKernel>>()

  constructor(device: GPUDevice) {
    this.#device = device
  }

  /**
   * The kernel of `source` with these values; compiled on first use.
   * @throws EngineError `shader-invalid` with the compiler's message
   */
  get<Buffers extends string, Params extends string, Overrides extends string, Specs extends string>(
    source: KernelSource<Buffers, Params, Overrides, Specs>,
    special: Specialization<Overrides, Specs> = {},
  ): Promise<Kernel<Buffers, Params>> {
    const key = `${source.name} ${sortedText(special.overrides)} ${sortedText(special.specs)}`
    let kernel = this.#kernels.get(key)
    if (kernel === undefined) {
      kernel = compile(this.#device, source as KernelSource, special as Specialization<string, string>)
      this.#kernels.set(key, kernel)
    }
    return kernel as unknown as Promise<Kernel<Buffers, Params>>
  }
}

function sortedText(values: Record<string, unknown> | undefined): string {
  return JSON.stringify(Object.entries(values ?? {}).sort(([a], [b]) => (a < b ? -1 : 1)))
}

async function compile(
  device: GPUDevice,
  source: KernelSource,
  special: Specialization<string, string>,
): Promise<AnyKernel> {
  const code = specialize(source, special.specs ?? {})
  const entries: GPUBindGroupLayoutEntry[] = source.bindings.map(({ binding, type }) => ({
    binding,
    visibility: GPUShaderStage.COMPUTE,
    buffer: { type },
  }))
  if (source.params !== undefined) {
    entries.push({ binding: 0, visibility: GPUShaderStage.COMPUTE, buffer: { type: 'uniform' } })
  }
  // What is wrong with a shader is told by the pipeline's rejection, not a second time by the device.
  device.pushErrorScope('validation')
  const layout = device.createBindGroupLayout({ label: source.name, entries })
  const shader = device.createShaderModule({ label: source.name, code })
  const pipelineLayout = device.createPipelineLayout({ label: source.name, bindGroupLayouts: [layout] })
  const reported = device.popErrorScope().catch(() => null)
  const constants: Record<string, number> = {}
  for (const [name, value] of Object.entries(special.overrides ?? {})) constants[name] = Number(value)
  let pipeline: GPUComputePipeline
  try {
    pipeline = await device.createComputePipelineAsync({
      label: source.name,
      layout: pipelineLayout,
      compute: { module: shader, entryPoint: source.name, constants },
    })
  } catch (error) {
    const { messages } = await shader.getCompilationInfo()
    const errors = messages.filter(({ type }) => type === 'error')
    const lines = errors.map(({ lineNum, message }) => {
      const own = lineNum <= source.ownLines
      return `${source.name}.wgsl${own ? `:${lineNum}` : ` (library line ${lineNum - source.ownLines})`}: ${message}`
    })
    const reasons = lines.length > 0 ? lines.join('\n') : ((await reported)?.message ?? String(error))
    throw new EngineError('shader-invalid', `${source.name} did not compile. ${reasons}`, {
      hint: 'This browser refuses a shader that others accept; update the browser, or report the message.',
      details: { kernel: source.name },
      cause: error,
    })
  }
  return new CompiledKernel(device, source, layout, pipeline)
}

/** Replaces the value of each named `// spec` line; every name must be there exactly once. */
export function specialize(
  source: KernelSource,
  values: Record<string, number | string | undefined>,
): string {
  let { code } = source
  for (const [name, value] of Object.entries(values)) {
    if (value === undefined) continue
    const pattern = new RegExp(`^((?:const ${name}\\b[^=]*|alias ${name}\\s*)= )[^;]+;(?= // spec$)`, 'gm')
    if ((code.match(pattern) ?? []).length !== 1) {
      throw internalError('gpu/kernel', `${source.name} has no single spec line for ${name}`)
    }
    const text = typeof value === 'number' ? `${value}u` : value
    code = code.replace(pattern, (_, head: string) => `${head}${text};`)
  }
  return code
}

class CompiledKernel implements AnyKernel {
  readonly name: string
  readonly #device: GPUDevice
  readonly #source: KernelSource
  readonly #layout: GPUBindGroupLayout
  readonly #pipeline: GPUComputePipeline

  constructor(
    device: GPUDevice,
    source: KernelSource,
    layout: GPUBindGroupLayout,
    pipeline: GPUComputePipeline,
  ) {
    this.name = source.name
    this.#device = device
    this.#source = source
    this.#layout = layout
    this.#pipeline = pipeline
  }

  bind(
    memory: GpuMemory,
    buffers: Record<string, GPUBuffer | GPUBufferBinding>,
    params: Record<string, number>,
  ): BoundKernel {
    const source = this.#source
    const entries: GPUBindGroupEntry[] = source.bindings.map(({ name, binding }) => {
      const bound = buffers[name]
      if (bound === undefined) throw internalError('gpu/kernel', `${source.name} lacks buffer ${name}`)
      return { binding, resource: 'buffer' in bound ? bound : { buffer: bound } }
    })
    if (source.params !== undefined)
      entries.push({ binding: 0, resource: memory.uniform(packParams(source, params)) })
    const group = this.#device.createBindGroup({ label: source.name, layout: this.#layout, entries })
    const pipeline = this.#pipeline
    return {
      name: source.name,
      encode(pass, x, y = 1, z = 1) {
        pass.setPipeline(pipeline)
        pass.setBindGroup(0, group)
        pass.dispatchWorkgroups(x, y, z)
      },
    }
  }
}

function packParams(source: KernelSource, params: Record<string, number>): ArrayBuffer {
  const { sizeBytes, fields } = source.params ?? { sizeBytes: 16, fields: [] }
  const data = new DataView(new ArrayBuffer(sizeBytes))
  for (const { name, offsetBytes, type } of fields) {
    const value = params[name]
    if (value === undefined) {
      if (name.startsWith('_pad')) continue
      throw internalError('gpu/kernel', `${source.name} lacks parameter ${name}`)
    }
    if (type === 'f32') data.setFloat32(offsetBytes, value, true)
    else if (type === 'i32') data.setInt32(offsetBytes, value, true)
    else data.setUint32(offsetBytes, value, true)
  }
  return data.buffer
}
