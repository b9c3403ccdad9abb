import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { firstDifference, openTestGpu, type TestGpu, testBlueprint } from '../../../test/gpu-fixture.ts'
import stateText from '../../shaders/lib/state.wgsl?raw'
import type { KernelSource } from '../gpu/kernel-source.ts'
import { GpuMemory } from '../gpu/memory.ts'
import * as reference from '../reference/rope.ts'
import { qkvLayout } from './forward.ts'
import { MAX_CHUNK_TOKENS, RunState, stateSizes } from './run-state.ts'

const FIELDS = 8
const DUMP = `@group(0) @binding(1) var<uniform> state: State;
@group(0) @binding(2) var<storage, read_write> words: array<u32>; // [fields + tokens]
@compute @workgroup_size(1)
fn dump_state() {
  words[0] = state.position;
  words[1] = state.count;
  words[2] = state.logits_token;
  words[3] = state.forced;
  words[4] = bitcast<u32>(state.inverse_temperature);
  words[5] = bitcast<u32>(state.repetition_penalty);
  for (var token = 0u; token < ${MAX_CHUNK_TOKENS}u; token++) {
    words[${FIELDS}u + token] = state.tokens[token / 4u][token % 4u];
  }
}
`

/** Copies the uniform out through the very struct that kernels read it by. */
const DUMP_STATE: KernelSource<'state' | 'words'> = {
  name: 'dump_state',
  code: DUMP + stateText,
  ownLines: DUMP.split('\n').length - 1,
  bindings: [
    { name: 'state', binding: 1, type: 'uniform', shape: '' },
    { name: 'words', binding: 2, type: 'storage', shape: '[fields + tokens]' },
  ],
  params: undefined,
  overrides: [],
  specs: [],
}

const BLUEPRINT = testBlueprint({ ropeDimensions: 12, ropeBase: 50_000 })
const QKV_ROWS = qkvLayout(BLUEPRINT).stride

describe('the state of a run', () => {
  let gpu: TestGpu
  beforeAll(async () => {
    gpu = await openTestGpu('minimal')
  })
  afterAll(() => gpu.close())

  it('hands each step to kernels, field by field', async () => {
    const memory = new GpuMemory(gpu.gpu.device)
    const run = new RunState(memory, BLUEPRINT, QKV_ROWS, 8, 64)
    const kernel = await gpu.context.library.get(DUMP_STATE)
    const words = gpu.poisoned(FIELDS + MAX_CHUNK_TOKENS)
    const bound = kernel.bind(memory, { state: run.state, words }, {})
    const dump = async () => {
      const op = { name: bound.name, encode: (pass: GPUComputePassEncoder) => bound.encode(pass, 1) }
      const [bytes] = await gpu.read([op], { position: 0, count: 1 }, [words])
      return { u32: new Uint32Array(bytes as ArrayBuffer), f32: new Float32Array(bytes as ArrayBuffer) }
    }
    const tokens = Array.from({ length: MAX_CHUNK_TOKENS }, (_, token) => 1000 + token)
    const rest = { logitsToken: 127, isForced: true, temperature: 0.8, repetitionPenalty: 1.1 }
    run.writeStep({ position: 8191, tokens, ...rest })
    const full = await dump()
    expect([...full.u32.subarray(0, 4)]).toEqual([8191, 128, 127, 1])
    expect([...full.f32.subarray(4, 6)]).toEqual([Math.fround(1.25), Math.fround(1.1)])
    expect([...full.u32.subarray(FIELDS)]).toEqual(tokens)
    run.writeStep({ position: 3, tokens: [7], ...rest, logitsToken: 0, isForced: false, temperature: 0 })
    const single = await dump()
    expect([...single.u32.subarray(0, 4)]).toEqual([3, 1, 0, 0])
    expect(single.f32[4]).toBe(1)
    expect(single.u32[FIELDS]).toBe(7)
    memory.destroy()
  })

  it('has the angles of every position, as exact as f32 holds them', async () => {
    const memory = new GpuMemory(gpu.gpu.device)
    const run = new RunState(memory, BLUEPRINT, QKV_ROWS, 4, 8192)
    const [bytes] = await gpu.read([], { position: 0, count: 0 }, [run.buffers.rope])
    const expected = Float32Array.from(reference.ropeTable(8192, 12, 50_000))
    expect(firstDifference(new Float32Array(bytes as ArrayBuffer), expected)).toBe(-1)
    memory.destroy()
  })

  it('counts its cache apart from its scratch, as planned, and starts with zeros', async () => {
    const memory = new GpuMemory(gpu.gpu.device)
    const run = new RunState(memory, BLUEPRINT, QKV_ROWS, 6, 40)
    const { kvLayerBytes, scratch } = stateSizes(BLUEPRINT, QKV_ROWS, 6, 40)
    expect(kvLayerBytes).toBe(2 * 16 * 40 * 4)
    expect([run.keys.length, run.values.length]).toEqual([BLUEPRINT.layers, BLUEPRINT.layers])
    const planned = Object.values(scratch).reduce((sum, bytes) => sum + Math.ceil(bytes / 16) * 16, 0)
    expect(memory.usage()).toEqual({
      gpuBytes: memory.usage().kvBytes + memory.usage().scratchBytes,
      weightBytes: 0,
      kvBytes: 2 * BLUEPRINT.layers * kvLayerBytes,
      scratchBytes: planned + 32 + 4 * MAX_CHUNK_TOKENS,
    })
    // The padding that left sweeps read is never written: it must begin as zero.
    const padded = await gpu.read([], { position: 0, count: 0 }, [run.buffers.ffnInput, run.buffers.h])
    for (const bytes of padded) expect(new Uint32Array(bytes).every((word) => word === 0)).toBe(true)
    memory.destroy()
    expect(memory.usage().gpuBytes).toBe(0)
  })

  it('has room for every pair and token of a chunk, in whole tiles', () => {
    const chunk = 6
    const { scratch } = stateSizes(BLUEPRINT, QKV_ROWS, chunk, 300)
    const [tokens, pairs] = [8, 12]
    const { gate, up, down } = BLUEPRINT.experts
    const central = { gate: gate.leftBond * gate.columnCenter, down: down.leftBond * down.columnCenter }
    expect(scratch.x).toBe(tokens * 90 * 4)
    expect(scratch.qkv).toBe(tokens * (6 * 16 + 2 * 2 * 16) * 4)
    expect(scratch.attended).toBe(tokens * 6 * 16 * 4)
    // Two splits of 300 positions; a peak and a sum beside each partial head.
    expect(scratch.partial).toBe(chunk * 6 * 2 * (16 + 2) * 4)
    expect(scratch.ffnInput).toBe(tokens * gate.columnCenter * 16 * 4)
    expect(scratch.u).toBe(pairs * Math.max(2 * central.gate, central.down) * 4)
    expect(scratch.v).toBeGreaterThanOrEqual(pairs * (128 + up.rowCenter * up.rightBond) * 4)
    expect(scratch.v).toBeGreaterThanOrEqual(pairs * down.rowCenter * down.rightBond * 4)
    expect(scratch.h).toBe(pairs * down.columnCenter * 16 * 4)
    expect(scratch.routes).toBe(BLUEPRINT.layers * pairs * 8)
    expect(scratch.forced).toBe(BLUEPRINT.layers * pairs * 4)
  })
})
