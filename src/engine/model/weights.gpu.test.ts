import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openTestGpu, type TestGpu } from '../../../test/gpu-fixture.ts'
import type { PackedTensor } from '../store/manifest.ts'
import { GpuWeights } from './weights.ts'

const RANGES = { a: [0, 96], aScales: [96, 48], b: [144, 20], c: [176, 64] } as const

function range(name: keyof typeof RANGES) {
  const [offsetBytes, bytes] = RANGES[name]
  return { offsetBytes, bytes }
}

// Three tensors with a gap of padding after the second, and one of the same offsets in another group.
const TENSORS: PackedTensor[] = [
  {
    name: 'a',
    group: 'one',
    layout: 'rows32',
    format: 'q4_1',
    rows: 3,
    columns: 32,
    codes: range('a'),
    scales: range('aScales'),
  },
  { name: 'b', group: 'one', layout: 'plain', format: 'f32', rows: 1, columns: 5, codes: range('b') },
  { name: 'c', group: 'one', layout: 'aux', format: 'f16', rows: 4, columns: 8, codes: range('c') },
  { name: 'other', group: 'two', layout: 'plain', format: 'f32', rows: 1, columns: 24, codes: range('a') },
]
const GROUP_BYTES = 240

describe('weights on the GPU', () => {
  let gpu: TestGpu
  beforeAll(async () => {
    gpu = await openTestGpu()
  })
  afterAll(() => gpu.close())

  async function contents(weights: GpuWeights): Promise<Record<string, number[]>> {
    const { codes, scales } = weights.matrix('a')
    const buffers = [codes, scales, weights.buffer('b'), weights.buffer('c'), weights.buffer('other')]
    const read = await gpu.read([], { position: 0, count: 0 }, buffers)
    const [a, aScales, b, c, other] = read.map((bytes) => [...new Uint8Array(bytes)])
    return { a, aScales, b, c, other } as Record<string, number[]>
  }

  const group = Uint8Array.from({ length: GROUP_BYTES }, (_, at) => (at % 251) + 1)

  it.each([
    ['whole', [GROUP_BYTES]],
    ['in parts that straddle planes', [16, 112, 40, 72]],
    ['in parts that end where planes end', [96, 48, 32, 64]],
    ['in the smallest parts', Array.from({ length: GROUP_BYTES / 4 }, () => 4)],
  ])('puts a group that arrives %s into its planes', async (_, parts) => {
    const weights = new GpuWeights(gpu.memory, TENSORS)
    let at = 0
    for (const bytes of parts) {
      // A view into a larger buffer, as a record's bytes may be.
      const record = new Uint8Array(bytes + 8).fill(255)
      record.set(group.subarray(at, at + bytes), 8)
      weights.write('one', at, record.subarray(8))
      at += bytes
    }
    expect(at).toBe(GROUP_BYTES)
    const found = await contents(weights)
    for (const name of ['a', 'aScales', 'b', 'c'] as const) {
      const [offset, bytes] = RANGES[name]
      expect(found[name]?.slice(0, bytes)).toEqual([...group.subarray(offset, offset + bytes)])
    }
    // Neither the padding after b nor another group's bytes went anywhere.
    expect(found['b']?.slice(20)).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    expect(found['other']).toEqual(Array.from({ length: 96 }, () => 0))
  })

  it('does not mind the order of parts, nor a group that it does not hold', async () => {
    const weights = new GpuWeights(gpu.memory, TENSORS)
    weights.write('one', 128, group.slice(128))
    weights.write('three', 0, group.slice())
    weights.write('one', 0, group.slice(0, 128))
    expect((await contents(weights))['aScales']).toEqual([...group.subarray(96, 144)])
  })

  it('tells what it holds, and refuses what it does not', () => {
    const before = gpu.memory.usage()
    const weights = new GpuWeights(gpu.memory, TENSORS)
    const after = gpu.memory.usage()
    expect(after.weightBytes - before.weightBytes).toBe(96 + 48 + 32 + 64 + 96)
    expect(weights.has('b')).toBe(true)
    expect(weights.has('d')).toBe(false)
    const { format, rows, columns } = weights.matrix('a')
    expect({ format, rows, columns }).toEqual({ format: 'q4_1', rows: 3, columns: 32 })
    expect(() => weights.matrix('d')).toThrow(
      expect.objectContaining({ code: 'internal', message: expect.stringContaining('d') }),
    )
  })
})
