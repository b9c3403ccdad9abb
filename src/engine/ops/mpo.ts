// The left and right sweeps of MPO experts; see mpo_left, mpo_right_act and mpo_right_sum. The central
// tensor between them is an ordinary matmul with one column per (token, slot).
import leftSource from '../../shaders/mpo_left.wgsl'
import rightActSource from '../../shaders/mpo_right_act.wgsl'
import rightSumSource from '../../shaders/mpo_right_sum.wgsl'
import { auxRowWords } from '../model/aux-layout.ts'
import type { MpoShape } from '../model/blueprint.ts'
import type { Op, OpContext, TileColumns } from './op.ts'

interface SweepOptions {
  topK: number
  firstRoute: number
  routes: GPUBuffer
  auxiliaries: GPUBuffer
  /** Tile of the pairs (token, slot). */
  tile: TileColumns
}

export interface LeftOptions extends SweepOptions {
  shape: MpoShape
  /** First 16-byte word of L in `auxiliaries`, one matrix or two of the same shape. */
  offsets: [number] | [number, number]
  x: GPUBuffer
  pairsPerInput: number
  u: GPUBuffer
  /** Elements of `u` between the matrices. */
  matrixStride: number
}

/** Workgroups of a sweep: each takes 64 values of an auxiliary's outer index and 4 of the center's. */
function threadGroups(outer: number, center: number): number {
  return Math.ceil(outer / 64) * Math.ceil(center / 4)
}

/** U_e = L_e · x for every pair and one or two matrices. */
export async function makeMpoLeft(context: OpContext, options: LeftOptions): Promise<Op> {
  const { shape, offsets, x, u, tile, topK } = options
  const kernel = await context.library.get(leftSource, { overrides: { COLUMNS: tile } })
  const bound = kernel.bind(
    context.memory,
    { routes: options.routes, auxiliaries: options.auxiliaries, x, u },
    {
      bond: shape.leftBond,
      center: shape.columnCenter,
      left_quads: auxRowWords(shape.columnLeft) * 2,
      row_words: auxRowWords(shape.columnLeft),
      offset_first: offsets[0],
      offset_second: offsets[1] ?? 0,
      first_route: options.firstRoute,
      pairs_per_input: options.pairsPerInput,
      matrix_stride: options.matrixStride,
    },
  )
  const groups = threadGroups(shape.leftBond, shape.columnCenter)
  return {
    name: bound.name,
    encode: (pass, { count }) => bound.encode(pass, groups, count * topK, offsets.length),
  }
}

export interface RightActOptions extends SweepOptions {
  /** Gate and up share their row modes; right bonds may differ. */
  gate: MpoShape
  up: MpoShape
  down: MpoShape
  offsets: [number, number]
  v: GPUBuffer
  vRows: number
  /** Row of V where the second matrix begins. */
  vSecond: number
  h: GPUBuffer
}

/** h = silu(R_gate · V_gate) · (R_up · V_up), laid out for the down matrix. */
export async function makeMpoRightAct(context: OpContext, options: RightActOptions): Promise<Op> {
  const { gate, up, down, offsets, v, h, topK } = options
  const kernel = await context.library.get(rightActSource, { overrides: { COLUMNS: options.tile } })
  const bound = kernel.bind(
    context.memory,
    { routes: options.routes, auxiliaries: options.auxiliaries, v, h },
    {
      center: gate.rowCenter,
      right: gate.rowRight,
      bond_first: gate.rightBond,
      bond_second: up.rightBond,
      words_first: auxRowWords(gate.rightBond),
      words_second: auxRowWords(up.rightBond),
      offset_first: offsets[0],
      offset_second: offsets[1],
      first_route: options.firstRoute,
      v_rows: options.vRows,
      v_second: options.vSecond,
      down_center: down.columnCenter,
      down_stride: auxRowWords(down.columnLeft) * 8,
    },
  )
  const groups = threadGroups(gate.rowRight, gate.rowCenter)
  return { name: bound.name, encode: (pass, { count }) => bound.encode(pass, groups, count * topK) }
}

export interface RightSumOptions extends SweepOptions {
  shape: MpoShape
  offset: number
  v: GPUBuffer
  vRows: number
  x: GPUBuffer
  tokenTile: TileColumns
}

/** x += Σ_e w_e · R_e · V_e. */
export async function makeMpoRightSum(context: OpContext, options: RightSumOptions): Promise<Op> {
  const { shape, v, x, topK } = options
  const kernel = await context.library.get(rightSumSource, {
    overrides: { COLUMNS: options.tile, TOKEN_COLUMNS: options.tokenTile },
  })
  const bound = kernel.bind(
    context.memory,
    { routes: options.routes, auxiliaries: options.auxiliaries, v, x },
    {
      bond: shape.rightBond,
      center: shape.rowCenter,
      right: shape.rowRight,
      row_words: auxRowWords(shape.rightBond),
      offset: options.offset,
      first_route: options.firstRoute,
      top_k: topK,
      v_rows: options.vRows,
    },
  )
  const groups = threadGroups(shape.rowRight, shape.rowCenter)
  return { name: bound.name, encode: (pass, { count }) => bound.encode(pass, groups, count) }
}
