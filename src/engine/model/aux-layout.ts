// Where each auxiliary tensor of a layer lies inside its `aux` plane; shared by packing and kernels. A leaf.
import type { MpoExperts } from './blueprint.ts'

/** Numbers of f16 in a 16-byte word; every row of an auxiliary tensor fills whole words. */
export const AUX_WORD_NUMBERS = 8

/** First 16-byte word of each auxiliary tensor of a layer, and the total. */
export interface AuxOffsets {
  gateLeft: number
  upLeft: number
  gateRight: number
  upRight: number
  downLeft: number
  downRight: number
  totalWords: number
}

/** 16-byte words of a row with `numbers` f16 numbers. */
export function auxRowWords(numbers: number): number {
  return Math.ceil(numbers / AUX_WORD_NUMBERS)
}

/**
 * Offsets in 16-byte words for all experts of one layer, in the order gate L, up L, gate R, up R, down L,
 * down R: L is [experts, leftBond, columnLeft], R is [experts, rowRight, rightBond], the innermost rows
 * padded with zeros to whole words.
 */
export function auxOffsets(experts: MpoExperts): AuxOffsets {
  const { count, gate, up, down } = experts
  const left = (shape: typeof gate) => count * shape.leftBond * auxRowWords(shape.columnLeft)
  const right = (shape: typeof gate) => count * shape.rowRight * auxRowWords(shape.rightBond)
  const gateLeft = 0
  const upLeft = gateLeft + left(gate)
  const gateRight = upLeft + left(up)
  const upRight = gateRight + right(gate)
  const downLeft = upRight + right(up)
  const downRight = downLeft + left(down)
  return { gateLeft, upLeft, gateRight, upRight, downLeft, downRight, totalWords: downRight + right(down) }
}
