import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { BadInput } from './bad-input.ts'
import { DEFAULT_MODEL_ID, resolveModel } from './model-files.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'switchyard-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

function write(name: string, text = 'GGUF'): string {
  writeFileSync(join(folder, name), text)
  return join(folder, name)
}

test('the default model has one id under all its names, and four shards', () => {
  for (const name of [undefined, 'default', DEFAULT_MODEL_ID]) {
    const { target, files } = resolveModel(name)
    expect(target.id).toBe(DEFAULT_MODEL_ID)
    expect([...files.keys()]).toEqual(target.urls)
    expect(target.urls).toHaveLength(4)
  }
})

test('the first shard finds the others', () => {
  const first = write('Tiny-00001-of-00002.gguf')
  const second = write('Tiny-00002-of-00002.gguf')
  const { target, files } = resolveModel(first)
  expect(target.urls).toEqual([
    '/model-files/Tiny-00001-of-00002.gguf',
    '/model-files/Tiny-00002-of-00002.gguf',
  ])
  expect([...files.values()]).toEqual([first, second])
  expect(target.id).toMatch(/^tiny-[0-9a-f]{8}-[0-9a-f]{8}$/)
})

test('changed content gets another id with the same prefix', () => {
  const file = write('tiny.gguf')
  const before = resolveModel(file).target
  write('tiny.gguf', 'GGUF, longer')
  const after = resolveModel(file).target
  expect(after.id).not.toBe(before.id)
  expect(after.staleIdPrefix).toBe(before.staleIdPrefix)
  expect(before.id.startsWith(before.staleIdPrefix as string)).toBe(true)
})

test('an address is expanded to its shards', () => {
  const { target, files } = resolveModel('https://example.com/m-00001-of-00002.gguf?v=1')
  expect(target.urls).toEqual([
    'https://example.com/m-00001-of-00002.gguf?v=1',
    'https://example.com/m-00002-of-00002.gguf?v=1',
  ])
  expect(files.size).toBe(0)
})

test('a missing file, a missing shard and a strange name are bad input', () => {
  expect(() => resolveModel(join(folder, 'none.gguf'))).toThrow(BadInput)
  expect(() => resolveModel(write('a-00001-of-00002.gguf'))).toThrow(/a-00002-of-00002\.gguf/)
  expect(() => resolveModel('llama')).toThrow(BadInput)
  expect(() => resolveModel('http://')).toThrow(BadInput)
})
