import { describe, expect, it } from 'vitest'
import { crc32 } from './crc32.ts'

function bitwise(bytes: Uint8Array): number {
  let crc = ~0
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (0xedb88320 & -(crc & 1))
  }
  return ~crc >>> 0
}

describe('crc32', () => {
  it('gives the standard check value', () => {
    expect(crc32(new TextEncoder().encode('123456789'))).toBe(0xcbf43926)
    expect(crc32(new Uint8Array(0))).toBe(0)
  })

  it('agrees with the bitwise definition at every alignment and tail length', () => {
    const data = Uint8Array.from({ length: 200 }, (_, at) => (at * 131 + (at >> 3)) & 255)
    for (let start = 0; start < 8; start++) {
      for (const length of [0, 1, 3, 15, 16, 17, 31, 64, 100, 150]) {
        const part = data.subarray(start, start + length)
        expect(crc32(part)).toBe(bitwise(part))
      }
    }
  })

  it('continues from the checksum of what came before', () => {
    const data = Uint8Array.from({ length: 99 }, (_, at) => (at * 7) & 255)
    expect(crc32(data.subarray(37), crc32(data.subarray(0, 37)))).toBe(crc32(data))
  })
})
