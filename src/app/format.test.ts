import { describe, expect, it } from 'vitest'
import { formatBytes, formatCount, formatMs, formatRate, formatShare, formatTimeLeft } from './format.ts'

describe('numbers on the page', () => {
  it.each([
    [0, '0 bytes'],
    [999, '999 bytes'],
    [1000, '1.00 kB'],
    [110_700_000, '110.7 MB'],
    [999_700, '1.00 MB'],
    [9_200_000_000, '9.20 GB'],
    [-5, '0 bytes'],
  ])('writes %d bytes as %s', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text)
  })

  it('writes a dash for a rate that is not known', () => {
    expect(formatRate(0)).toBe('–')
    expect(formatRate(Number.NaN)).toBe('–')
    expect(formatRate(2.13)).toBe('2.1 tok/s')
    expect(formatRate(140.4)).toBe('140 tok/s')
  })

  it('turns milliseconds into seconds from one second on', () => {
    expect(formatMs(3.94)).toBe('3.9 ms')
    expect(formatMs(1920)).toBe('1.92 s')
    expect(formatMs(31_900)).toBe('31.9 s')
  })

  it('says time left in steps that do not flicker', () => {
    expect(formatTimeLeft(4)).toBe('a few seconds')
    expect(formatTimeLeft(17)).toBe('about 20 s')
    expect(formatTimeLeft(130)).toBe('about 2 min')
  })

  it('agrees with its noun', () => {
    expect(formatCount(1, 'token')).toBe('1 token')
    expect(formatCount(0, 'token')).toBe('0 tokens')
    expect(formatShare(0.256)).toBe('26 %')
  })
})
