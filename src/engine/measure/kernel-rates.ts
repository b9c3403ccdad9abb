// Multiply-adds a second of the matrix-vector kernels on this model's own matrices, and of a plain probe.
import probeSource from '../../shaders/probe_rows.wgsl'
import { KernelLibrary } from '../gpu/kernel.ts'
import { GpuMemory } from '../gpu/memory.ts'
import { makeMatmul } from '../ops/matmul.ts'
import type { Op } from '../ops/op.ts'
import type { ToolContext } from './tools.ts'

export interface KernelRate {
  name: string
  macsPerSecond: number
}

const STEP = { position: 0, count: 1 }
const SAMPLES = 5
/** Long enough that starting the pass does not count. */
const SAMPLE_MS = 120

/** Batch-1 rates: one entry a distinct matrix of a layer and the head, and the probe last. */
export async function measureKernels(
  context: ToolContext,
): Promise<{ kernels: KernelRate[]; probe: KernelRate }> {
  const { gpu, model } = context
  const memory = new GpuMemory(gpu.device)
  const state = memory.allocate('state', 544, 'scratch', GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST)
  const ops = { library: new KernelLibrary(gpu.device), memory, state }
  try {
    const { weights } = model.runner.network
    const { layers } = model.manifest.blueprint
    const kernels: KernelRate[] = []
    for (const name of ['qkv', 'attn_output', 'gate_up_central', 'down_central', 'embedding']) {
      const all = Array.from({ length: layers }, (_, layer) => `layer.${layer}.${name}`)
      const names = (name === 'embedding' ? [name] : all).filter((candidate) => weights.has(candidate))
      if (names.length === 0) continue
      const { format, rows, columns } = weights.matrix(names[0] as string)
      const input = memory.allocate('x', columns * 4, 'scratch')
      const output = memory.allocate('y', rows * 4, 'scratch')
      const make = (tensor: string): Promise<Op> =>
        makeMatmul(ops, { matrix: weights.matrix(tensor), input, output, tile: 1, columnsPerToken: 1 })
      const seconds = await secondsOf(gpu.device, await Promise.all(names.map(make)))
      kernels.push({
        name: `${name} ${format} ${rows}×${columns}`,
        macsPerSecond: (rows * columns) / seconds,
      })
    }
    return { kernels, probe: await measureProbe(gpu.device, ops.library, memory) }
  } finally {
    memory.destroy()
  }
}

async function measureProbe(
  device: GPUDevice,
  library: KernelLibrary,
  memory: GpuMemory,
): Promise<KernelRate> {
  const [rows, columns] = [3072, 576]
  const blocks = columns / 32
  const kernel = await library.get(probeSource)
  const words = new Uint32Array(rows * blocks * 4).map((_, index) => Math.imul(index + 1, 0x9e3779b1) >>> 0)
  const codes = memory.allocate('codes', words.byteLength, 'scratch')
  device.queue.writeBuffer(codes, 0, words)
  const bound = kernel.bind(
    memory,
    {
      codes,
      scales: memory.allocate('scales', rows * blocks * 4, 'scratch'),
      x: memory.allocate('x', columns * 4, 'scratch'),
      y: memory.allocate('y', rows * 4, 'scratch'),
    },
    { rows, blocks },
  )
  const op: Op = { name: bound.name, encode: (pass) => bound.encode(pass, Math.ceil(rows / 64)) }
  return {
    name: `probe q4_1 ${rows}×${columns}`,
    macsPerSecond: (rows * columns) / (await secondsOf(device, [op])),
  }
}

/**
 * Median seconds of one dispatch, from passes that take the operations in turn: the same matrix of every
 * layer, so that weights come from memory as in a token and not from a cache that holds one layer's.
 */
async function secondsOf(device: GPUDevice, ops: readonly Op[]): Promise<number> {
  let repeats = ops.length
  let ms = await timePass(device, ops, repeats)
  while (ms < SAMPLE_MS && repeats < 4096) {
    repeats = Math.ceil(repeats * Math.min(16, Math.max(1.5, (SAMPLE_MS * 1.2) / Math.max(ms, 0.1))))
    ms = await timePass(device, ops, repeats)
  }
  const samples: number[] = []
  for (let sample = 0; sample < SAMPLES; sample++) samples.push(await timePass(device, ops, repeats))
  return median(samples) / repeats / 1000
}

async function timePass(device: GPUDevice, ops: readonly Op[], repeats: number): Promise<number> {
  await device.queue.onSubmittedWorkDone()
  const start = performance.now()
  const encoder = device.createCommandEncoder()
  const pass = encoder.beginComputePass()
  for (let repeat = 0; repeat < repeats; repeat++) ops[repeat % ops.length]?.encode(pass, STEP)
  pass.end()
  device.queue.submit([encoder.finish()])
  await device.queue.onSubmittedWorkDone()
  return performance.now() - start
}

/** The middle value. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}
