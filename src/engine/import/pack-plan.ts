// Which tensors go into which group, where, and from what: known from the header alone. Pure.
import { EngineError } from '../errors.ts'
import { AUX_WORD_NUMBERS, auxOffsets } from '../model/aux-layout.ts'
import type { Blueprint } from '../model/blueprint.ts'
import {
  GROUP_ROWS,
  NUMBERS_PER_CHUNK,
  type PackedFormat,
  type PackedTensor,
  packedBytes,
  roundUp,
  STACK_ROWS,
} from '../store/manifest.ts'
import type { GgufTensor } from './gguf.ts'

/** A source tensor and the first row it fills. */
export interface StackedSource {
  source: GgufTensor
  firstRow: number
  rows: number
}

/** An auxiliary source tensor and its first 16-byte word in the plane. */
export interface AuxSource {
  source: GgufTensor
  firstWord: number
  rows: number
  inner: number
}

export type PlannedTensor =
  | { layout: 'rows32'; packed: PackedTensor; sources: StackedSource[] }
  | { layout: 'plain'; packed: PackedTensor; source: GgufTensor }
  | { layout: 'aux'; packed: PackedTensor; sources: AuxSource[] }

export interface PlannedGroup {
  name: string
  bytes: number
  tensors: PlannedTensor[]
}

const PLANE_ALIGNMENT = 16
const MATRIX_FORMATS = new Map<string, PackedFormat>([
  ['Q4_1', 'q4_1'],
  ['Q8_0', 'q8_0'],
  ['F16', 'f16'],
  ['F32', 'f32'],
])

/** Source tensors that a planned tensor is made of. */
export function sourcesOf(tensor: PlannedTensor): GgufTensor[] {
  return tensor.layout === 'plain' ? [tensor.source] : tensor.sources.map(({ source }) => source)
}

/** How a float source lies in the file; planning has refused everything else. */
export function floatFormat(source: GgufTensor): 'f16' | 'f32' {
  return source.type.name === 'F16' ? 'f16' : 'f32'
}

/**
 * Plans all groups of a model whose tensors have been checked against `blueprint`.
 * @throws `model-unsupported` for a quantization, a width or a mix of formats that has no layout.
 */
export function planGroups(blueprint: Blueprint, tensors: ReadonlyMap<string, GgufTensor>): PlannedGroup[] {
  const find = (name: string) => tensors.get(`${name}.weight`) as GgufTensor
  const groups = [new GroupPlan('embedding').matrix('embedding', [find('token_embd')], GROUP_ROWS)]
  for (let layer = 0; layer < blueprint.layers; layer++) groups.push(planLayer(blueprint, layer, find))
  const output = new GroupPlan('output').plain('output_norm', find('output_norm'))
  if (!blueprint.tiedHead) output.matrix('head', [find('output')], GROUP_ROWS)
  groups.push(output)
  return groups.map((group) => group.done())
}

function planLayer(blueprint: Blueprint, layer: number, find: (name: string) => GgufTensor): GroupPlan {
  const source = (name: string) => find(`blk.${layer}.${name}`)
  const name = (part: string) => `layer.${layer}.${part}`
  const plan = new GroupPlan(`layer-${layer}`)
  plan.plain(name('attn_norm'), source('attn_norm'))
  const attention = ['q', 'k', 'v'] as const
  const projections = attention.map((part) => source(`attn_${part}`))
  if (new Set(projections.map(({ type }) => type.name)).size === 1) {
    plan.matrix(name('qkv'), projections, GROUP_ROWS)
  } else {
    for (const part of attention) plan.matrix(name(part), [source(`attn_${part}`)], GROUP_ROWS)
  }
  plan.matrix(name('attn_output'), [source('attn_output')], GROUP_ROWS)
  plan.plain(name('ffn_norm'), source('ffn_norm'))
  plan.plain(name('router'), source('ffn_gate_inp'))
  plan.matrix(
    name('gate_up_central'),
    [source('ffn_gate_mpo_central'), source('ffn_up_mpo_central')],
    STACK_ROWS,
  )
  plan.matrix(name('down_central'), [source('ffn_down_mpo_central')], GROUP_ROWS)
  return plan.aux(name('aux'), blueprint, source)
}

function unsupported(tensor: GgufTensor, what: string): EngineError {
  return new EngineError('model-unsupported', `Tensor ${tensor.name} (${tensor.type.name}) ${what}.`, {
    hint: 'Matrices may be Q4_1, Q8_0, F16 or F32; norms, routers and auxiliary tensors F16 or F32.',
    details: { tensor: tensor.name, type: tensor.type.name, dims: tensor.dims },
  })
}

/** Collects the tensors of one group and gives each plane its place. */
class GroupPlan {
  readonly #name: string
  readonly #tensors: PlannedTensor[] = []
  #bytes = 0

  constructor(name: string) {
    this.#name = name
  }

  #place(bytes: number): { offsetBytes: number; bytes: number } {
    const range = { offsetBytes: this.#bytes, bytes }
    this.#bytes += roundUp(bytes, PLANE_ALIGNMENT)
    return range
  }

  /** A matrix, or several one below the other, each starting at a multiple of `stepRows`. */
  matrix(name: string, sources: readonly GgufTensor[], stepRows: number): this {
    const first = sources[0] as GgufTensor
    const format = MATRIX_FORMATS.get(first.type.name)
    if (format === undefined) throw unsupported(first, 'has a quantization that has no kernel')
    const columns = first.dims[0] as number
    if (columns % Math.max(NUMBERS_PER_CHUNK[format], first.type.blockNumbers) !== 0) {
      throw unsupported(
        first,
        `has rows of ${columns} numbers, not a multiple of ${NUMBERS_PER_CHUNK[format]}`,
      )
    }
    const stacked: StackedSource[] = []
    let rows = 0
    for (const source of sources) {
      if (source.type !== first.type)
        throw unsupported(source, `must have the format of ${first.name}, ${first.type.name}`)
      const firstRow = roundUp(rows, stepRows)
      const own = source.dims[1] ?? 1
      stacked.push({ source, firstRow, rows: own })
      rows = firstRow + own
    }
    const bytes = packedBytes(format, rows, columns)
    if (!Number.isSafeInteger(bytes.codes)) throw unsupported(first, `needs ${bytes.codes} bytes`)
    const packed: PackedTensor = {
      name,
      group: this.#name,
      layout: 'rows32',
      format,
      rows,
      columns,
      codes: this.#place(bytes.codes),
      ...(bytes.scales > 0 ? { scales: this.#place(bytes.scales) } : {}),
    }
    this.#tensors.push({ layout: 'rows32', packed, sources: stacked })
    return this
  }

  plain(name: string, source: GgufTensor): this {
    this.#checkFloat(source)
    const [columns = 1, rows = 1] = source.dims
    const codes = this.#place(rows * columns * 4)
    const packed: PackedTensor = {
      name,
      group: this.#name,
      layout: 'plain',
      format: 'f32',
      rows,
      columns,
      codes,
    }
    this.#tensors.push({ layout: 'plain', packed, source })
    return this
  }

  aux(name: string, blueprint: Blueprint, find: (name: string) => GgufTensor): this {
    const { experts } = blueprint
    const offsets = auxOffsets(experts)
    const sources: AuxSource[] = []
    for (const matrix of ['gate', 'up', 'down'] as const) {
      const { leftBond, columnLeft, rowRight, rightBond } = experts[matrix]
      const left = find(`ffn_${matrix}_mpo_left`)
      const right = find(`ffn_${matrix}_mpo_right`)
      this.#checkFloat(left)
      this.#checkFloat(right)
      const firstLeft = offsets[`${matrix}Left`]
      sources.push({ source: left, firstWord: firstLeft, rows: experts.count * leftBond, inner: columnLeft })
      const firstRight = offsets[`${matrix}Right`]
      sources.push({ source: right, firstWord: firstRight, rows: experts.count * rowRight, inner: rightBond })
    }
    const rows = offsets.totalWords
    const codes = this.#place(rows * PLANE_ALIGNMENT)
    const columns = AUX_WORD_NUMBERS
    const packed: PackedTensor = {
      name,
      group: this.#name,
      layout: 'aux',
      format: 'f16',
      rows,
      columns,
      codes,
    }
    this.#tensors.push({ layout: 'aux', packed, sources })
    return this
  }

  done(): PlannedGroup {
    return { name: this.#name, bytes: this.#bytes, tensors: this.#tensors }
  }

  #checkFloat(source: GgufTensor): void {
    if (source.type.name !== 'F32' && source.type.name !== 'F16')
      throw unsupported(source, 'must be F32 or F16')
  }
}
