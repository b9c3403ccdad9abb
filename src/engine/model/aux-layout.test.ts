import { expect, it } from 'vitest'
import { auxOffsets, auxRowWords } from './aux-layout.ts'

it('lays the auxiliary tensors of a layer one after the other in whole words', () => {
  const gate = { rowCenter: 10, rowRight: 16, columnLeft: 12, columnCenter: 8, leftBond: 8, rightBond: 6 }
  const down = { rowCenter: 12, rowRight: 8, columnLeft: 20, columnCenter: 8, leftBond: 12, rightBond: 5 }
  const up = { ...gate, rightBond: 9 }
  expect(auxOffsets({ kind: 'mpo-skew', count: 4, gate, up, down })).toEqual({
    gateLeft: 0,
    upLeft: 4 * 8 * 2,
    gateRight: 2 * (4 * 8 * 2),
    upRight: 128 + 4 * 16 * 1,
    downLeft: 192 + 4 * 16 * 2,
    downRight: 320 + 4 * 12 * 3,
    totalWords: 464 + 4 * 8 * 1,
  })
  expect([1, 8, 9, 64].map(auxRowWords)).toEqual([1, 1, 2, 8])
})
