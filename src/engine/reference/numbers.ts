// What the reference computes with: checked element access, and the one matrix-vector product.
import { internalError } from '../errors.ts'

/** Numbers of the reference: stored weights are f32, results are f64. */
export type Numbers = Float32Array | Float64Array

/** Element `index`; a read beyond the end is a bug and throws `internal`. */
export function at(numbers: Numbers, index: number): number {
  const value = numbers[index]
  if (value === undefined) throw internalError('reference', `index ${index} of ${numbers.length} numbers`)
  return value
}

/** `y[r] = Σ_c matrix[r, c] · x[c]`, matrix in C order, columns = x.length. */
export function multiply(matrix: Numbers, rows: number, x: Numbers): Float64Array {
  const columns = x.length
  const y = new Float64Array(rows)
  for (let row = 0; row < rows; row++) {
    let sum = 0
    for (let column = 0; column < columns; column++) sum += at(matrix, row * columns + column) * at(x, column)
    y[row] = sum
  }
  return y
}
