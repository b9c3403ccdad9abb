// The shape of one network: sizes, router, expert kind. Every later part reads it; a leaf.

/** How raw router logits become scores. */
export type RouterScore = 'softmax' | 'sigmoid' | 'none'

/**
 * One router for every family: which scores, how many experts, how weights are made.
 * Order: score → top-k (ties: lower index) → renormalize → scale.
 */
export interface RouterDescription {
  score: RouterScore
  topK: number
  /** Divide the chosen weights by their sum (plus eps). */
  renormalize: boolean
  scale: number
}

/**
 * A skewed three-site MPO matrix [rows, columns]: rows = (1, rowCenter, rowRight),
 * columns = (columnLeft, columnCenter, 1), first digit slowest.
 * L [leftBond, columnLeft], C [rowCenter·rightBond, leftBond·columnCenter], R [rowRight, rightBond].
 */
export interface MpoShape {
  rowCenter: number
  rowRight: number
  columnLeft: number
  columnCenter: number
  leftBond: number
  rightBond: number
}

/** Experts of a layer as MPO pairs around one shared central tensor per matrix (MPOE, arXiv 2203.01104). */
export interface MpoExperts {
  kind: 'mpo-skew'
  count: number
  gate: MpoShape
  up: MpoShape
  down: MpoShape
}

export interface Blueprint {
  architecture: string
  layers: number
  hiddenSize: number
  heads: number
  kvHeads: number
  headSize: number
  ffnSize: number
  vocabularySize: number
  /** Positions the model was made for. */
  contextTokens: number
  rmsEps: number
  ropeBase: number
  /** Leading dimensions of a head that rotate, in interleaved pairs (2i, 2i+1). */
  ropeDimensions: number
  /** The output head is the embedding matrix. */
  tiedHead: boolean
  router: RouterDescription
  experts: MpoExperts
}

/** Rows of the matrix an MPO stands for. */
export function mpoRows(shape: MpoShape): number {
  return shape.rowCenter * shape.rowRight
}

/** Columns of the matrix an MPO stands for. */
export function mpoColumns(shape: MpoShape): number {
  return shape.columnLeft * shape.columnCenter
}

/** Rows of the central tensor as a matrix: (i_c, d_r). */
export function centralRows(shape: MpoShape): number {
  return shape.rowCenter * shape.rightBond
}

/** Columns of the central tensor as a matrix: (d_l, j_c). */
export function centralColumns(shape: MpoShape): number {
  return shape.leftBond * shape.columnCenter
}

/** Multiply-adds of one decoded token without attention over the past. */
export function macsPerToken(blueprint: Blueprint): number {
  const { hiddenSize: hidden, headSize, heads, kvHeads, experts, router } = blueprint
  const attention = 2 * hidden * heads * headSize + 2 * hidden * kvHeads * headSize
  let expert = 0
  for (const shape of [experts.gate, experts.up, experts.down]) {
    expert += shape.leftBond * mpoColumns(shape)
    expert += centralRows(shape) * centralColumns(shape)
    expert += mpoRows(shape) * shape.rightBond
  }
  const perLayer = attention + experts.count * hidden + router.topK * expert
  return blueprint.layers * perLayer + blueprint.vocabularySize * hidden
}
