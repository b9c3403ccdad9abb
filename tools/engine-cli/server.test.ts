import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseRange, serve } from './server.ts'

test.each([
  ['no header', undefined, undefined],
  ['a range', 'bytes=2-5', { start: 2, end: 5 }],
  ['an open end', 'bytes=7-', { start: 7, end: 9 }],
  ['an end beyond the file', 'bytes=7-99', { start: 7, end: 9 }],
  ['a suffix', 'bytes=-3', { start: 7, end: 9 }],
  ['a start beyond the file', 'bytes=10-11', 'unsatisfiable'],
  ['an end before the start', 'bytes=5-2', 'unsatisfiable'],
  ['several ranges, which are not offered', 'bytes=0-1,3-4', undefined],
])('parseRange reads %s', (_, header, expected) => {
  expect(parseRange(header, 10)).toEqual(expected)
})

describe('serve', () => {
  const folder = mkdtempSync(join(tmpdir(), 'switchyard-'))
  const file = join(folder, 'model.gguf')
  let served: Awaited<ReturnType<typeof serve>>
  const get = (path: string, headers = {}) => fetch(`http://127.0.0.1:${served.port}${path}`, { headers })

  beforeAll(async () => {
    writeFileSync(file, 'GGUF567890')
    served = await serve(new Map([['/page.html', '<p>page']]), new Map([['/model-files/model.gguf', file]]))
  })
  afterAll(() => {
    served.server.close()
    rmSync(folder, { recursive: true })
  })

  test('sends pages with their type', async () => {
    const response = await get('/page.html')
    expect(response.headers.get('content-type')).toContain('text/html')
    expect(await response.text()).toBe('<p>page')
  })

  test('sends a part of a file with its place and the whole size', async () => {
    const response = await get('/model-files/model.gguf', { range: 'bytes=4-6' })
    expect([response.status, response.headers.get('content-range')]).toEqual([206, 'bytes 4-6/10'])
    expect(await response.text()).toBe('567')
  })

  test('sends a whole file without a range', async () => {
    const response = await get('/model-files/model.gguf')
    expect([response.status, response.headers.get('content-length')]).toEqual([200, '10'])
    expect(await response.text()).toBe('GGUF567890')
  })

  test('refuses a range beyond the file, and everything that is not listed', async () => {
    expect((await get('/model-files/model.gguf', { range: 'bytes=10-' })).status).toBe(416)
    expect((await get('/model-files/..%2fmodel.gguf')).status).toBe(404)
    expect((await get('/package.json')).status).toBe(404)
  })
})
