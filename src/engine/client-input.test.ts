import { describe, expect, it } from 'vitest'
import { absoluteCatalog, checkOptions, plainSource } from './client-input.ts'
import type { ModelSource } from './protocol.ts'

const refused = expect.objectContaining({ code: 'bad-request', hint: expect.stringMatching(/./) })

describe('what comes in at the public door', () => {
  it('lets known options through and refuses others by name', () => {
    expect(() => checkOptions('createEngine', { gpuBudgetBytes: 5, contextTokens: undefined })).not.toThrow()
    expect(() => checkOptions('createEngine', { expertBudgetBytes: 1 })).toThrow(refused)
    expect(() => checkOptions('setBudgets', { gpuBudget: 1 })).toThrow(/gpuBudget/)
    expect(() => checkOptions('load', { gpuBudgetBytes: 1 })).toThrow(refused)
    expect(() => checkOptions('setBudgets', { gpuBudgetBytes: '5' })).toThrow(refused)
    expect(() => checkOptions('setBudgets', { gpuBudgetBytes: Number.NaN })).toThrow(refused)
  })

  it.each([undefined, null, 5, {}, { url: 7 }, { url: [] }, { url: 'http://' }, { files: ['name'] }])(
    'refuses %j as a model',
    (source) => {
      expect(() => plainSource(source as unknown as ModelSource)).toThrow(refused)
    },
  )

  it('keeps ids, files and addresses', () => {
    const file = new Blob(['x'])
    expect(plainSource('my-model')).toBe('my-model')
    expect(plainSource({ files: [file], id: 'a' })).toEqual({ files: [file], id: 'a' })
    expect(plainSource({ url: 'https://a.example/m.gguf' })).toEqual({ url: ['https://a.example/m.gguf'] })
  })

  it('refuses a catalog entry without addresses', () => {
    expect(absoluteCatalog([{ id: 'a', urls: ['https://a.example/m.gguf'] }])).toHaveLength(1)
    expect(() =>
      absoluteCatalog([{ id: 'a', url: 'x' } as unknown as { id: string; urls: string[] }]),
    ).toThrow(refused)
  })
})
