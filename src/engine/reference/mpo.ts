// A skewed three-site MPO matrix as three small products, and as the matrix it stands for.
// Index names as in docs: columns (j_l, j_c), rows (i_c, i_r), bonds d_l and d_r; first digit slowest.
import { centralRows, type MpoShape, mpoColumns, mpoRows } from '../model/blueprint.ts'
import { at, multiply, type Numbers } from './numbers.ts'

/** `U[d_l, j_c] = Σ_{j_l} L[d_l, j_l] · x[j_l, j_c]`. */
export function mpoLeft(shape: MpoShape, left: Numbers, x: Numbers): Float64Array {
  const { leftBond, columnLeft, columnCenter } = shape
  const u = new Float64Array(leftBond * columnCenter)
  for (let dl = 0; dl < leftBond; dl++) {
    for (let jc = 0; jc < columnCenter; jc++) {
      let sum = 0
      for (let jl = 0; jl < columnLeft; jl++)
        sum += at(left, dl * columnLeft + jl) * at(x, jl * columnCenter + jc)
      u[dl * columnCenter + jc] = sum
    }
  }
  return u
}

/** `V[i_c, d_r] = Σ_{d_l, j_c} C[(i_c, d_r), (d_l, j_c)] · U[d_l, j_c]`: a plain matrix-vector product. */
export function mpoCentral(shape: MpoShape, central: Numbers, u: Numbers): Float64Array {
  return multiply(central, centralRows(shape), u)
}

/** `y[i_c, i_r] = Σ_{d_r} R[i_r, d_r] · V[i_c, d_r]`. */
export function mpoRight(shape: MpoShape, right: Numbers, v: Numbers): Float64Array {
  const { rowCenter, rowRight, rightBond } = shape
  const y = new Float64Array(rowCenter * rowRight)
  for (let ic = 0; ic < rowCenter; ic++) {
    for (let ir = 0; ir < rowRight; ir++) {
      let sum = 0
      for (let dr = 0; dr < rightBond; dr++)
        sum += at(right, ir * rightBond + dr) * at(v, ic * rightBond + dr)
      y[ic * rowRight + ir] = sum
    }
  }
  return y
}

/** The MPO's matrix times `x`, by the three products. */
export function mpoMultiply(
  shape: MpoShape,
  left: Numbers,
  central: Numbers,
  right: Numbers,
  x: Numbers,
): Float64Array {
  return mpoRight(shape, right, mpoCentral(shape, central, mpoLeft(shape, left, x)))
}

/** `W[(i_c, i_r), (j_l, j_c)] = Σ_{d_l, d_r} R[i_r, d_r] · C[(i_c, d_r), (d_l, j_c)] · L[d_l, j_l]`. */
export function materializeMpo(
  shape: MpoShape,
  left: Numbers,
  central: Numbers,
  right: Numbers,
): Float64Array {
  const { rowCenter, rowRight, columnLeft, columnCenter, leftBond, rightBond } = shape
  const w = new Float64Array(mpoRows(shape) * mpoColumns(shape))
  for (let ic = 0; ic < rowCenter; ic++) {
    for (let ir = 0; ir < rowRight; ir++) {
      for (let jl = 0; jl < columnLeft; jl++) {
        for (let jc = 0; jc < columnCenter; jc++) {
          let sum = 0
          for (let dl = 0; dl < leftBond; dl++) {
            for (let dr = 0; dr < rightBond; dr++) {
              const row = ic * rightBond + dr
              const column = dl * columnCenter + jc
              const c = at(central, row * leftBond * columnCenter + column)
              sum += at(right, ir * rightBond + dr) * c * at(left, dl * columnLeft + jl)
            }
          }
          w[(ic * rowRight + ir) * mpoColumns(shape) + jl * columnCenter + jc] = sum
        }
      }
    }
  }
  return w
}
