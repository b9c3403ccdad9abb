import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openTestGpu, type TestGpu } from '../../../test/gpu-fixture.ts'
import { KernelLibrary } from './kernel.ts'
import type { KernelSource } from './kernel-source.ts'

const OWN = `struct Params { add: f32, first: u32, step: i32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
override TIMES: f32 = 1.0;
override NEGATE: bool = false;
const POWER: u32 = 1u; // spec
@compute @workgroup_size(4)
fn scale(@builtin(global_invocation_id) id: vec3u) {
  let k = u32(i32(params.first) + i32(id.x) * params.step);
  y[id.x] = power(x[k], POWER) * TIMES * select(1.0, -1.0, NEGATE) + params.add;
}
`
const LIBRARY = `fn power(value: f32, exponent: u32) -> f32 {
  return pow(value, f32(exponent));
}
`

type Scale = KernelSource<'x' | 'y', 'add' | 'first' | 'step', 'TIMES' | 'NEGATE', 'POWER'>

const SCALE: Scale = {
  name: 'scale',
  code: OWN + LIBRARY,
  ownLines: OWN.split('\n').length - 1,
  bindings: [
    { name: 'x', binding: 1, type: 'read-only-storage', shape: '[n]' },
    { name: 'y', binding: 2, type: 'storage', shape: '[4]' },
  ],
  params: {
    sizeBytes: 16,
    fields: [
      { name: 'add', offsetBytes: 0, type: 'f32' },
      { name: 'first', offsetBytes: 4, type: 'u32' },
      { name: 'step', offsetBytes: 8, type: 'i32' },
    ],
  },
  overrides: ['TIMES', 'NEGATE'],
  specs: ['POWER'],
}

function changed(from: string, to: string): Scale {
  expect(SCALE.code).toContain(from)
  return { ...SCALE, code: SCALE.code.replace(from, to) }
}

describe('a kernel', () => {
  let gpu: TestGpu
  beforeAll(async () => {
    gpu = await openTestGpu()
  })
  // `close` fails on any error that reached the device: a refused shader must not.
  afterAll(() => gpu.close())

  it('gets parameters of every type, overrides, specs and library functions', async () => {
    const special = { overrides: { TIMES: 10, NEGATE: true }, specs: { POWER: 2 } }
    const kernel = await gpu.context.library.get(SCALE, special)
    const y = gpu.poisoned(4)
    const bound = kernel.bind(
      gpu.memory,
      { x: gpu.buffer(new Float32Array([1, 2, 3, 4])), y },
      { add: 0.5, first: 3, step: -1 },
    )
    const op = { name: bound.name, encode: (pass: GPUComputePassEncoder) => bound.encode(pass, 1) }
    const result = await gpu.run([op], { position: 0, count: 1 }, y)
    expect([...result].map((value) => Math.round(value * 100) / 100)).toEqual([-159.5, -89.5, -39.5, -9.5])
  })

  it('reads a part of a buffer when bound to one', async () => {
    const kernel = await gpu.context.library.get(SCALE)
    const x = gpu.buffer(Float32Array.from({ length: 68 }, (_, k) => k))
    const y = gpu.poisoned(4)
    const params = { add: 0, first: 0, step: 1 }
    const bound = kernel.bind(gpu.memory, { x: { buffer: x, offset: 256, size: 16 }, y }, params)
    const op = { name: bound.name, encode: (pass: GPUComputePassEncoder) => bound.encode(pass, 1) }
    expect([...(await gpu.run([op], { position: 0, count: 1 }, y))].map(Math.round)).toEqual([64, 65, 66, 67])
  })

  it('is compiled once per set of values', async () => {
    const { library } = gpu.context
    const first = library.get(SCALE, { overrides: { TIMES: 2, NEGATE: true } })
    expect(library.get(SCALE, { overrides: { NEGATE: true, TIMES: 2 } })).toBe(first)
    expect(library.get(SCALE, { overrides: { TIMES: 3, NEGATE: true } })).not.toBe(first)
    expect(library.get(SCALE, { overrides: { TIMES: 2, NEGATE: true }, specs: { POWER: 2 } })).not.toBe(first)
    await first
  })

  it('names kernel, line and reason when it does not compile', async () => {
    const broken = changed('let k = u32(', 'let k = missing(')
    await expect(new KernelLibrary(gpu.gpu.device).get(broken)).rejects.toMatchObject({
      code: 'shader-invalid',
      message: expect.stringMatching(/^scale did not compile\. scale\.wgsl:10: .*missing/),
      details: { kernel: 'scale' },
    })
  })

  it('names the library line when the library does not compile', async () => {
    const broken = changed('return pow(', 'return root(')
    await expect(new KernelLibrary(gpu.gpu.device).get(broken)).rejects.toMatchObject({
      code: 'shader-invalid',
      message: expect.stringMatching(/scale\.wgsl \(library line 2\): .*root/),
    })
  })

  it('tells the reason when text and interface disagree', async () => {
    const broken = changed('@binding(2)', '@binding(3)')
    await expect(new KernelLibrary(gpu.gpu.device).get(broken)).rejects.toMatchObject({
      code: 'shader-invalid',
      message: expect.stringMatching(/^scale did not compile\. .*inding/s),
    })
    const special = { overrides: { MISSPELLED: 1 } } as object
    await expect(new KernelLibrary(gpu.gpu.device).get(SCALE, special)).rejects.toMatchObject({
      code: 'shader-invalid',
      message: expect.stringContaining('MISSPELLED'),
    })
  })

  it('refuses to be bound without a buffer or a parameter', async () => {
    const kernel = await gpu.context.library.get(SCALE)
    const [x, y] = [gpu.poisoned(4), gpu.poisoned(4)]
    const params = { add: 0, first: 0, step: 1 }
    const bind = (buffers: object, values: object) => () => {
      kernel.bind(gpu.memory, buffers as { x: GPUBuffer; y: GPUBuffer }, values as typeof params)
    }
    expect(bind({ x }, params)).toThrow(
      expect.objectContaining({ code: 'internal', message: 'gpu/kernel: scale lacks buffer y' }),
    )
    expect(bind({ x, y }, { add: 0, first: 0 })).toThrow(
      expect.objectContaining({ code: 'internal', message: 'gpu/kernel: scale lacks parameter step' }),
    )
  })
})
