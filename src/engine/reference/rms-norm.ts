import { at, type Numbers } from './numbers.ts'

/** `y[k] = x[k] / √(mean(x²) + eps) · weight[k]`. */
export function rmsNorm(x: Numbers, weight: Numbers, eps: number): Float64Array {
  let squares = 0
  for (let k = 0; k < x.length; k++) squares += at(x, k) * at(x, k)
  const scale = 1 / Math.sqrt(squares / x.length + eps)
  const y = new Float64Array(x.length)
  for (let k = 0; k < x.length; k++) y[k] = at(x, k) * scale * at(weight, k)
  return y
}
