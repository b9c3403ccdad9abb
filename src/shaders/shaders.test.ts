import { existsSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { loadKernel, shaderFiles } from '../../tools/wgsl-plugin.ts'

const FOLDER = dirname(fileURLToPath(import.meta.url))
const DOCS = join(FOLDER, '..', '..', 'docs')
const PAGE = readFileSync(join(DOCS, 'kernels.md'), 'utf8')
const kernels = shaderFiles(FOLDER).map((file) => [basename(file, '.wgsl'), file] as const)

/** Bytes of the types that workgroup variables have here; a new one must be added by hand. */
const TYPE_BYTES: Record<string, number> = {
  f32: 4,
  u32: 4,
  i32: 4,
  vec2f: 8,
  vec2u: 8,
  vec4f: 16,
  vec4u: 16,
}

function withoutComments(code: string): string {
  return code.replace(/\/\/.*$/gm, '')
}

function workgroupBytes(code: string): number {
  const variables = [
    ...code.matchAll(/var<workgroup>\s+\w+\s*:\s*(?:array<\s*(\w+)\s*,\s*(\d+)u?\s*>|(\w+))\s*;/g),
  ]
  expect(variables.length).toBe((code.match(/var<workgroup>/g) ?? []).length)
  return variables.reduce((sum, [text, element, count, single]) => {
    const bytes = TYPE_BYTES[element ?? single ?? '']
    if (bytes === undefined) throw new Error(`no size is known for ${text}`)
    return sum + bytes * Number(count ?? 1)
  }, 0)
}

function invocations(code: string): number {
  const sizes = /@workgroup_size\(([^)]*)\)/.exec(code)?.[1]?.split(',').map(Number) ?? []
  return sizes.reduce((product, size) => product * size, sizes.length === 0 ? Number.NaN : 1)
}

it('finds the kernels', () => {
  expect(kernels.map(([name]) => name)).toContain('matmul')
})

describe.each(kernels)('%s', (name, file) => {
  const { source } = loadKernel(file)
  const code = withoutComments(source.code)
  const head = /^(?:\/\/.*\n)+/.exec(source.code)?.[0] ?? ''
  const hasBarrier = /\b(?:workgroupBarrier|storageBarrier|workgroupUniformLoad)\s*\(/.test(code)

  it('says in its head whether it has barriers, libraries included', () => {
    expect(/\bbarrier-free\b/.test(head)).toBe(!hasBarrier)
    expect(/\bbarriers?\b/.test(head.replaceAll('barrier-free', ''))).toBe(hasBarrier)
  })

  it('stays within the limits of the weakest device', () => {
    expect(source.bindings.filter(({ type }) => type !== 'uniform').length).toBeLessThanOrEqual(8)
    expect(workgroupBytes(code)).toBeLessThanOrEqual(16_384)
    expect(invocations(code)).toBeLessThanOrEqual(256)
    // A variant may use a feature when a kernel of the plain name is there for devices without it.
    const isVariant = name.endsWith('_subgroups')
    expect(kernels.map(([kernel]) => kernel)).toContain(name.replace(/_subgroups$/, ''))
    if (!isVariant) expect(code).not.toMatch(/^\s*enable\b|\bsubgroup\w+\s*\(/m)
    expect(code).not.toMatch(/\batomic</)
  })

  it('has a row in each table of docs/kernels.md, with files that exist', () => {
    const row = PAGE.split('\n').find((line) => line.startsWith(`| [${name}](`)) ?? ''
    const links = [...row.matchAll(/\]\(([^)]+)\)/g)].map((match) => match[1] as string)
    expect(links).toEqual([
      `../src/shaders/${name}.wgsl`,
      expect.stringMatching(/^\.\.\/src\/engine\/ops\/.*\.gpu\.test\.ts$/),
    ])
    for (const link of links) expect(existsSync(join(DOCS, link)), link).toBe(true)
    const cells = (PAGE.split('\n').find((line) => line.startsWith(`| ${name} |`)) ?? '').split('|')
    expect(cells.length).toBe(7)
    expect(cells[3]?.trim() === 'none').toBe(!hasBarrier)
    for (const [, reference] of (cells[4] ?? '').matchAll(/`([\w-]+\.ts)`/g)) {
      expect(existsSync(join(FOLDER, '..', 'engine', 'reference', reference as string)), reference).toBe(true)
    }
  })
})

it('keeps matrix products free of barriers', () => {
  for (const name of ['matmul', 'matmul_subgroups', 'mpo_left', 'mpo_right_act', 'mpo_right_sum']) {
    const file = kernels.find(([kernel]) => kernel === name)?.[1]
    expect(withoutComments(loadKernel(file ?? name).source.code)).not.toMatch(/Barrier/)
  }
})

it('lists no kernel that is gone', () => {
  const listed = [...PAGE.matchAll(/^\| \[(\w+)\]\(/gm)].map((match) => match[1])
  expect(listed.sort()).toEqual(kernels.map(([name]) => name).sort())
})
