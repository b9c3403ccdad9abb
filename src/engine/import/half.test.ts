import { describe, expect, it } from 'vitest'
import { halfToNumber, isHalfSpecial, numberToHalf } from './half.ts'

describe('half precision', () => {
  it('restores every finite pattern', () => {
    for (let bits = 0; bits < 0x10000; bits++) {
      if (!isHalfSpecial(bits)) expect(numberToHalf(halfToNumber(bits))).toBe(bits)
    }
  })

  it('rounds a midpoint to the even neighbor, and anything above it up', () => {
    for (let bits = 0; bits < 0x7bff; bits += 7) {
      const middle = (halfToNumber(bits) + halfToNumber(bits + 1)) / 2
      expect(numberToHalf(middle)).toBe((bits & 1) === 0 ? bits : bits + 1)
      expect(numberToHalf(middle * (1 + 2 ** -20))).toBe(bits + 1)
      expect(numberToHalf(-middle * (1 - 2 ** -20))).toBe(0x8000 | bits)
    }
  })

  it('knows infinity, overflow and not-a-number', () => {
    expect(numberToHalf(Infinity)).toBe(0x7c00)
    expect(numberToHalf(65520)).toBe(0x7c00)
    expect(numberToHalf(65519)).toBe(0x7bff)
    expect(isHalfSpecial(numberToHalf(NaN))).toBe(true)
    expect(halfToNumber(0xfc00)).toBe(-Infinity)
    expect(halfToNumber(0x7e00)).toBeNaN()
  })
})
