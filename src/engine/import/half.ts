// Half precision numbers as 16-bit patterns. Pure.

const floatView = new Float32Array(1)
const bitsView = new Uint32Array(floatView.buffer)

/** The number a half's bit pattern stands for. */
export function halfToNumber(bits: number): number {
  const sign = (bits & 0x8000) === 0 ? 1 : -1
  const exponent = (bits >> 10) & 31
  const mantissa = bits & 1023
  if (exponent === 31) return mantissa === 0 ? sign * Infinity : NaN
  if (exponent === 0) return sign * mantissa * 2 ** -24
  return sign * (1024 + mantissa) * 2 ** (exponent - 25)
}

/** The bit pattern of the half nearest to `value`, ties to even; beyond 65504 it is an infinity. */
export function numberToHalf(value: number): number {
  floatView[0] = value
  const bits = bitsView[0] as number
  const sign = (bits >>> 16) & 0x8000
  const magnitude = bits & 0x7fffffff
  if (magnitude >= 0x47800000) return magnitude > 0x7f800000 ? sign | 0x7e00 : sign | 0x7c00
  if (magnitude >= 0x38800000) {
    // Rebias the exponent, then round the 13 dropped bits; a carry moves into the exponent as it must.
    const rebased = magnitude - 0x38000000
    return sign | ((rebased + 0xfff + ((rebased >>> 13) & 1)) >>> 13)
  }
  // Subnormal halves are multiples of 2^-24, and rounding to them in f64 is exact before the tie.
  const steps = Math.abs(floatView[0] as number) * 2 ** 24
  const floor = Math.floor(steps)
  const rest = steps - floor
  return sign | (rest > 0.5 || (rest === 0.5 && (floor & 1) === 1) ? floor + 1 : floor)
}

/** True for infinities and not-a-number. */
export function isHalfSpecial(bits: number): boolean {
  return (bits & 0x7c00) === 0x7c00
}
