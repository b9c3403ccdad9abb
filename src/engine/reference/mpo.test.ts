import { describe, expect, test } from 'vitest'
import { centralColumns, centralRows, type MpoShape, mpoColumns, mpoRows } from '../model/blueprint.ts'
import { materializeMpo, mpoCentral, mpoLeft, mpoMultiply, mpoRight } from './mpo.ts'
import { multiply } from './numbers.ts'

// All six sizes differ, so that no swapped index goes unnoticed.
const UNEQUAL: MpoShape = {
  rowCenter: 5,
  rowRight: 3,
  columnLeft: 4,
  columnCenter: 7,
  leftBond: 2,
  rightBond: 6,
}

function waves(count: number, pace: number): Float64Array {
  return Float64Array.from({ length: count }, (_, k) => Math.sin(pace * (k + 1)))
}

describe('a skewed MPO', () => {
  test('gives the worked values of a 2-bond example', () => {
    const shape: MpoShape = {
      rowCenter: 1,
      rowRight: 2,
      columnLeft: 2,
      columnCenter: 1,
      leftBond: 2,
      rightBond: 1,
    }
    const left = new Float64Array([1, 2, 3, 4])
    const central = new Float64Array([10, 1])
    const right = new Float64Array([1, -1])
    const x = new Float64Array([5, 6])
    expect([...mpoLeft(shape, left, x)]).toEqual([17, 39])
    expect([...mpoCentral(shape, central, new Float64Array([17, 39]))]).toEqual([209])
    expect([...mpoRight(shape, right, new Float64Array([209]))]).toEqual([209, -209])
    expect([...materializeMpo(shape, left, central, right)]).toEqual([13, 24, -13, -24])
  })

  test('contracts to the product with its materialized matrix', () => {
    const left = waves(UNEQUAL.leftBond * UNEQUAL.columnLeft, 0.7)
    const central = waves(centralRows(UNEQUAL) * centralColumns(UNEQUAL), 0.3)
    const right = waves(UNEQUAL.rowRight * UNEQUAL.rightBond, 1.1)
    const x = waves(mpoColumns(UNEQUAL), 0.9)
    const contracted = mpoMultiply(UNEQUAL, left, central, right, x)
    const matrix = materializeMpo(UNEQUAL, left, central, right)
    const product = multiply(matrix, mpoRows(UNEQUAL), x)
    expect(contracted.length).toBe(mpoRows(UNEQUAL))
    contracted.forEach((value, row) => {
      expect(Math.abs(value - (product[row] ?? NaN))).toBeLessThan(1e-12)
    })
  })

  test('with identity auxiliaries is its central tensor', () => {
    const shape = { ...UNEQUAL, leftBond: UNEQUAL.columnLeft, rightBond: UNEQUAL.rowRight }
    const identity = (size: number) =>
      Float64Array.from({ length: size * size }, (_, k) => (k % (size + 1) === 0 ? 1 : 0))
    const central = waves(centralRows(shape) * centralColumns(shape), 0.3)
    expect(materializeMpo(shape, identity(shape.columnLeft), central, identity(shape.rowRight))).toEqual(
      central,
    )
  })
})
