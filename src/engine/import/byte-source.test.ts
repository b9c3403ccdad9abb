import { describe, expect, it } from 'vitest'
import { openBlob } from './byte-source.ts'

describe('openBlob', () => {
  const bytes = Uint8Array.from({ length: 100 }, (_, at) => at)

  it('reads ranges and tells name, size and time', async () => {
    const source = openBlob(new File([bytes], 'a.gguf', { lastModified: 7 }))
    expect(source).toMatchObject({ name: 'a.gguf', sizeBytes: 100, validator: '7' })
    const received: number[] = []
    expect([...(await source.read(10, 3, undefined, (count) => received.push(count)))]).toEqual([10, 11, 12])
    expect(received).toEqual([3])
    expect(openBlob(new Blob([bytes]), 'part').name).toBe('part')
  })

  it.each([
    [98, 3],
    [-1, 2],
    [0.5, 1],
    [0, 2 ** 60],
    [Number.NaN, 1],
  ])('refuses bytes %d + %d with the numbers', async (offset, length) => {
    const source = openBlob(new Blob([bytes]))
    await expect(source.read(offset, length)).rejects.toMatchObject({
      code: 'model-corrupt',
      details: { offsetBytes: offset, lengthBytes: length, sizeBytes: 100 },
    })
  })

  it('says so when the file changed or went away', async () => {
    const blob = new Blob([bytes])
    blob.slice = () => new Blob([bytes.subarray(0, 1)])
    await expect(openBlob(blob).read(0, 5)).rejects.toMatchObject({ code: 'model-corrupt' })
    const gone = new Blob()
    gone.arrayBuffer = () => Promise.reject(new DOMException('gone', 'NotFoundError'))
    blob.slice = () => gone
    await expect(openBlob(blob).read(0, 5)).rejects.toThrow(/changed or removed/)
  })

  it('rejects with the reason of an aborted signal', async () => {
    await expect(openBlob(new Blob([bytes])).read(0, 5, AbortSignal.abort())).rejects.toThrow(
      expect.objectContaining({ name: 'AbortError' }),
    )
  })
})
