import { beforeEach, describe, expect, it } from 'vitest'
import {
  brokenBody,
  type FakeServer,
  makeFakeServer,
  partialResponse,
  SERVER,
} from '../../../test/fixtures/fake-server.ts'
import type { NetworkOptions } from './range-request.ts'
import { FIRST_READ_BYTES, openUrl, resolveAddress } from './url-source.ts'

const SIZE = FIRST_READ_BYTES + 5000
const bytes = Uint8Array.from({ length: SIZE }, (_, at) => (at * 31 + (at >> 8)) & 255)
const url = `${SERVER}big.gguf`
let server: FakeServer
let waits: number[]
let network: NetworkOptions

beforeEach(async () => {
  server = await makeFakeServer([
    new File([bytes], 'big.gguf'),
    new File([bytes.subarray(0, 900)], 'small.gguf'),
  ])
  waits = []
  network = {
    fetch: server.fetch,
    async sleep(ms) {
      waits.push(ms)
    },
  }
})

/** Answers the given requests (counted from 0) by `answer`, all others correctly. */
function misbehave(answer: (number: number) => Response | undefined): void {
  let number = 0
  server.intercept = () => answer(number++)
}

describe('openUrl', () => {
  it('learns name, size and ETag from one request and reads ranges', async () => {
    const source = await openUrl(url, network)
    expect(source).toMatchObject({ name: 'big.gguf', sizeBytes: SIZE, validator: '"big.gguf-1"' })
    expect(await source.read(SIZE - 3000, 3000)).toEqual(bytes.slice(SIZE - 3000))
    expect(server.log).toHaveLength(2)
  })

  it('answers what the first request brought without another', async () => {
    const source = await openUrl(url, network)
    expect(await source.read(100, 50)).toEqual(bytes.slice(100, 150))
    expect(server.log).toHaveLength(1)
  })

  it('opens a file that is shorter than the first request', async () => {
    const source = await openUrl(`${SERVER}small.gguf`, network)
    expect(source.sizeBytes).toBe(900)
    expect(await source.read(0, 900)).toEqual(bytes.slice(0, 900))
  })

  it('refuses a range beyond the end with the numbers, before asking', async () => {
    const source = await openUrl(url, network)
    await expect(source.read(SIZE - 1, 2)).rejects.toMatchObject({
      code: 'model-corrupt',
      details: { sizeBytes: SIZE },
    })
    expect(server.log).toHaveLength(1)
  })

  it.each(['ftp://host/x.gguf', 'no address', 'javascript:alert(1)'])('refuses the address %s', (address) => {
    expect(() => resolveAddress(address)).toThrow(expect.objectContaining({ code: 'bad-request' }))
  })
})

describe('retries', () => {
  it.each([500, 503, 429, 408])('tries again after %i, waiting longer each time', async (status) => {
    misbehave((number) => (number < 3 ? new Response('', { status }) : undefined))
    expect((await openUrl(url, network)).sizeBytes).toBe(SIZE)
    expect(waits).toEqual([300, 600, 1200])
  })

  it('waits as long as the server asks, up to a bound', async () => {
    misbehave((number) =>
      number < 2
        ? new Response('', { status: 503, headers: { 'retry-after': number === 0 ? '2' : '9999' } })
        : undefined,
    )
    await openUrl(url, network)
    expect(waits).toEqual([2000, 20_000])
  })

  it('gives up after five failures with the last one named', async () => {
    misbehave(() => new Response('', { status: 502 }))
    await expect(openUrl(url, network)).rejects.toMatchObject({
      code: 'network',
      message: expect.stringContaining('502'),
      details: { url, attempts: 5 },
    })
    expect(server.log).toHaveLength(5)
  })

  it.each([401, 403, 404, 416])('does not try again after %i', async (status) => {
    misbehave(() => new Response('', { status }))
    await expect(openUrl(url, network)).rejects.toMatchObject({ code: 'network', details: { status } })
    expect(server.log).toHaveLength(1)
  })

  it('tries again when the connection fails, and names the cause in the end', async () => {
    let isDown = false
    server.intercept = () => {
      isDown = !isDown
      if (isDown) throw new TypeError('Failed to fetch')
      return undefined
    }
    expect((await openUrl(url, network)).sizeBytes).toBe(SIZE)
    server.intercept = () => {
      throw new TypeError('Failed to fetch')
    }
    await expect(openUrl(url, network)).rejects.toMatchObject({
      code: 'network',
      cause: { message: 'Failed to fetch' },
    })
  })

  it('goes on from where a broken answer stopped', async () => {
    const source = await openUrl(url, network)
    misbehave((number) => {
      if (number > 0) return undefined
      return partialResponse(bytes, 1000, SIZE - 1, '"big.gguf-1"', brokenBody(bytes.slice(1000, 61_000)))
    })
    const received: number[] = []
    expect(await source.read(1000, SIZE - 1000, undefined, (count) => received.push(count))).toEqual(
      bytes.slice(1000),
    )
    expect(server.log.at(-1)).toMatchObject({ start: 61_000, end: SIZE - 1 })
    expect(received.at(-1)).toBe(SIZE - 1000)
  })

  it('gives up a request that brings nothing for too long', async () => {
    const stuck = new ReadableStream<Uint8Array<ArrayBuffer>>({})
    misbehave((number) =>
      number === 0 ? partialResponse(bytes, 0, FIRST_READ_BYTES - 1, '"big.gguf-1"', stuck) : undefined,
    )
    const source = await openUrl(url, { ...network, stallMs: 20 })
    expect(source.sizeBytes).toBe(SIZE)
    expect(server.log).toHaveLength(2)
  })

  it('aborts at once, in a request and in a pause', async () => {
    const controller = new AbortController()
    server.intercept = () => {
      controller.abort()
      return undefined
    }
    await expect(openUrl(url, network, controller.signal)).rejects.toThrow(
      expect.objectContaining({ name: 'AbortError' }),
    )
    const pausing = new AbortController()
    server.intercept = () => {
      setTimeout(() => pausing.abort(), 5)
      return new Response('', { status: 503, headers: { 'retry-after': '20' } })
    }
    const opening = openUrl(url, { fetch: server.fetch }, pausing.signal)
    await expect(opening).rejects.toThrow(expect.objectContaining({ name: 'AbortError' }))
  })
})

describe('servers that answer wrongly', () => {
  it('refuses a whole file in place of a range, with a clear sentence', async () => {
    misbehave(() => new Response(bytes, { status: 200 }))
    await expect(openUrl(url, network)).rejects.toMatchObject({
      code: 'network',
      message: expect.stringContaining('whole files and no ranges'),
    })
  })

  it('takes a whole file when that is what was asked for', async () => {
    misbehave(() => new Response(bytes.subarray(0, 900), { status: 200 }))
    const source = await openUrl(`${SERVER}small.gguf`, network)
    expect(source.sizeBytes).toBe(900)
    expect(await source.read(890, 10)).toEqual(bytes.slice(890, 900))
  })

  it.each([
    ['another range', `bytes 5-${FIRST_READ_BYTES}/${SIZE}`],
    ['a range longer than asked', `bytes 0-${FIRST_READ_BYTES}/${SIZE}`],
    ['no total', `bytes 0-${FIRST_READ_BYTES - 1}/*`],
    ['an end beyond the total', `bytes 0-99/50`],
    ['nonsense', 'lots'],
  ])('refuses %s', async (_, range) => {
    misbehave(
      () => new Response(bytes.subarray(0, 100), { status: 206, headers: { 'content-range': range } }),
    )
    await expect(openUrl(url, network)).rejects.toMatchObject({
      code: 'network',
      message: expect.stringContaining(range),
    })
  })

  it('refuses a body longer than announced, and asks for the rest of a shorter one', async () => {
    misbehave(() => partialResponse(bytes, 0, 9, '"big.gguf-1"', bytes.slice(0, 20)))
    await expect(openUrl(url, network)).rejects.toThrow(/more than the 10 bytes/)
    const first = partialResponse(bytes, 0, FIRST_READ_BYTES - 1, '"big.gguf-1"', bytes.slice(0, 700))
    misbehave((number) => (number === 0 ? first : undefined))
    const source = await openUrl(url, network)
    expect(await source.read(0, 1000)).toEqual(bytes.slice(0, 1000))
    expect(server.log.at(-1)).toMatchObject({ start: 700 })
  })

  it('says how another origin must expose Content-Range', async () => {
    misbehave(() => new Response(bytes.subarray(0, 100), { status: 206 }))
    await expect(openUrl(url, network)).rejects.toMatchObject({
      code: 'network',
      details: { hint: expect.stringContaining('Access-Control-Expose-Headers') },
    })
  })

  it('notices that the file changed in the middle, by ETag and by size', async () => {
    const source = await openUrl(url, network)
    server.files.set('big.gguf', { bytes, etag: '"big.gguf-2"' })
    await expect(source.read(FIRST_READ_BYTES, 100)).rejects.toThrow(/changed on the server/)
    server.files.set('big.gguf', { bytes: bytes.slice(0, SIZE - 1), etag: '"big.gguf-1"' })
    await expect(source.read(FIRST_READ_BYTES, 100)).rejects.toMatchObject({ code: 'network' })
  })
})
