// The architecture `mpoe-llama`: metadata to blueprint, and the shape that every tensor must have. Pure.
import { EngineError } from '../errors.ts'
import {
  type Blueprint,
  centralColumns,
  centralRows,
  type MpoExperts,
  type MpoShape,
  mpoColumns,
  mpoRows,
  type RouterDescription,
} from '../model/blueprint.ts'
import type { MetadataReader } from './gguf-metadata.ts'
import type { GgufModel } from './gguf-shards.ts'

const ARCHITECTURE = 'mpoe-llama'
const MOST_EXPERTS = 256
const MOST_CHOSEN = 16
const LARGEST_HEAD = 256
const MOST_LAYERS = 512
const LARGEST_SIZE = 2 ** 17
const LARGEST_VOCABULARY = 2 ** 20
const SOFTMAX = 1

/** Keys that would change the computation in ways the engine does not do; `0` and `none` mean absent. */
const UNSUPPORTED_KEYS = [
  'rope.scaling.type',
  'rope.scaling.factor',
  'rope.scaling.attn_factor',
  'rope.scaling.original_context_length',
  'rope.scaling.finetuned',
  'rope.scale_linear',
  'attention.sliding_window',
  'attention.scale',
  'attention.max_alibi_bias',
  'attention.clamp_kqv',
  'attn_logit_softcapping',
  'final_logit_softcapping',
  'logit_scale',
  'embedding_scale',
  'residual_scale',
  'expert_shared_count',
  'expert_group_count',
  'leading_dense_block_count',
]

/**
 * Reads the blueprint and checks that exactly the tensors it needs are there, in their shapes.
 * @throws `model-unsupported` for another architecture or an unknown variant, `model-format` for metadata
 * and shapes that contradict each other or a missing tensor.
 */
export function readMpoeLlama(model: GgufModel, vocabularySize: number): Blueprint {
  const meta = model.metadata
  checkArchitecture(meta)
  for (const name of UNSUPPORTED_KEYS) refuseKey(meta, key(name))
  const size = (name: string, most = LARGEST_SIZE) => meta.requiredInteger(key(name), 1, most)
  const hiddenSize = size('embedding_length')
  const heads = size('attention.head_count', 4096)
  const kvHeads = meta.integer(key('attention.head_count_kv'), 1, heads) ?? heads
  const headSize = readHeadSize(meta, hiddenSize, heads)
  if (heads % kvHeads !== 0) {
    throw meta.error(key('attention.head_count'), `is ${heads}, not a multiple of the ${kvHeads} KV heads`)
  }
  const stated = meta.integer(key('vocab_size'), 1, LARGEST_VOCABULARY)
  if (stated !== undefined && stated !== vocabularySize) {
    throw meta.error(key('vocab_size'), `is ${stated}, but there are ${vocabularySize} tokens`)
  }
  const ffnSize = size('feed_forward_length')
  const expertFfn = meta.integer(key('expert_feed_forward_length'), 1, LARGEST_SIZE) ?? ffnSize
  if (expertFfn !== ffnSize)
    throw meta.error(key('expert_feed_forward_length'), `is ${expertFfn}, not ${ffnSize}`)
  const experts = readExperts(meta, hiddenSize, ffnSize)
  const blueprint: Blueprint = {
    architecture: ARCHITECTURE,
    layers: size('block_count', MOST_LAYERS),
    hiddenSize,
    heads,
    kvHeads,
    headSize,
    ffnSize,
    vocabularySize,
    contextTokens: size('context_length', 2 ** 24),
    rmsEps: meta.requiredPositive(key('attention.layer_norm_rms_epsilon')),
    ropeBase: meta.positive(key('rope.freq_base')) ?? 10_000,
    ropeDimensions: meta.integer(key('rope.dimension_count'), 2, headSize) ?? headSize,
    tiedHead: !model.tensors.has('output.weight'),
    router: readRouter(meta, experts.count),
    experts,
  }
  if (blueprint.ropeDimensions % 2 !== 0) throw meta.error(key('rope.dimension_count'), 'is odd')
  checkTensors(model, blueprint)
  return blueprint
}

/** @throws `model-unsupported` naming any other architecture. */
export function checkArchitecture(meta: MetadataReader): void {
  const architecture = meta.requiredString('general.architecture')
  if (architecture === ARCHITECTURE) return
  throw unsupported(
    meta,
    `the architecture "${architecture.slice(0, 80)}" is not supported`,
    'general.architecture',
  )
}

function key(name: string): string {
  return `${ARCHITECTURE}.${name}`
}

function unsupported(meta: MetadataReader, what: string, name: string): EngineError {
  return new EngineError('model-unsupported', `${meta.file}: ${what}.`, {
    hint: `This version runs models of the architecture ${ARCHITECTURE}.`,
    details: { file: meta.file, key: name },
  })
}

function refuseKey(meta: MetadataReader, name: string): void {
  const value = meta.metadata.get(name)
  if (value === undefined || value === 0 || value === false || value === '' || value === 'none') return
  throw unsupported(meta, `${name} = ${String(value).slice(0, 40)} is not supported`, name)
}

function readHeadSize(meta: MetadataReader, hiddenSize: number, heads: number): number {
  const keyLength = meta.integer(key('attention.key_length'), 1, LARGEST_SIZE)
  const valueLength = meta.integer(key('attention.value_length'), 1, LARGEST_SIZE)
  const headSize = keyLength ?? valueLength ?? hiddenSize / heads
  if (!Number.isInteger(headSize)) {
    throw meta.error(key('attention.head_count'), `is ${heads}, which does not divide ${hiddenSize}`)
  }
  if ((valueLength ?? headSize) !== headSize) {
    throw unsupported(
      meta,
      `keys of ${headSize} and values of ${valueLength} numbers`,
      key('attention.value_length'),
    )
  }
  if (headSize > LARGEST_HEAD || headSize % 4 !== 0) {
    const what = `heads of ${headSize} numbers are not supported (multiples of 4 up to ${LARGEST_HEAD})`
    throw unsupported(meta, what, key('attention.key_length'))
  }
  return headSize
}

function readRouter(meta: MetadataReader, experts: number): RouterDescription {
  const gating = meta.integer(key('expert_gating_func'), 0, 255) ?? SOFTMAX
  if (gating !== SOFTMAX) {
    throw unsupported(
      meta,
      `expert_gating_func ${gating} is not supported (1 is softmax)`,
      key('expert_gating_func'),
    )
  }
  return {
    score: 'softmax',
    topK: meta.requiredInteger(key('expert_used_count'), 1, Math.min(MOST_CHOSEN, experts)),
    renormalize: meta.boolean(key('expert_weights_norm')) ?? false,
    scale: meta.positive(key('expert_weights_scale')) ?? 1,
  }
}

function readExperts(meta: MetadataReader, hiddenSize: number, ffnSize: number): MpoExperts {
  const count = meta.requiredInteger(key('expert_count'), 1, MOST_EXPERTS)
  const gate = readMpo(meta, 'ffn_gate', ffnSize, hiddenSize)
  const up = readMpo(meta, 'ffn_up', ffnSize, hiddenSize)
  const down = readMpo(meta, 'ffn_down', hiddenSize, ffnSize)
  const isShared = (['columnLeft', 'columnCenter', 'leftBond', 'rowCenter', 'rowRight'] as const).every(
    (mode) => gate[mode] === up[mode],
  )
  if (!isShared) {
    throw unsupported(meta, 'gate and up have different modes or left bonds', key('mpo.ffn_up.column_modes'))
  }
  return { kind: 'mpo-skew', count, gate, up, down }
}

/** Only the skewed form of three sites: the left site has input modes alone, the right one output modes. */
function readMpo(meta: MetadataReader, matrix: string, rows: number, columns: number): MpoShape {
  const name = key(`mpo.${matrix}`)
  const modes = (part: string) => {
    const values = meta.integers(`${name}.${part}`)
    if (values.some((value) => value < 1 || value > LARGEST_SIZE)) {
      throw meta.error(`${name}.${part}`, `has a value outside 1 to ${LARGEST_SIZE}`)
    }
    return values
  }
  const [rowLeft, rowCenter = 0, rowRight = 0, ...rowRest] = modes('row_modes')
  const [columnLeft = 0, columnCenter = 0, columnRight, ...columnRest] = modes('column_modes')
  const [first, leftBond = 0, rightBond = 0, last, ...bondRest] = modes('bonds')
  const ones = [rowLeft, columnRight, first, last]
  if (rowRest.length + columnRest.length + bondRest.length > 0 || ones.some((value) => value !== 1)) {
    throw unsupported(meta, `the MPO of ${matrix} is not the skewed form of three sites`, `${name}.bonds`)
  }
  const shape = { rowCenter, rowRight, columnLeft, columnCenter, leftBond, rightBond }
  if (mpoRows(shape) !== rows || mpoColumns(shape) !== columns) {
    const what = `give a matrix [${mpoRows(shape)}, ${mpoColumns(shape)}] where [${rows}, ${columns}] is needed`
    throw meta.error(`${name}.row_modes and .column_modes`, what)
  }
  return shape
}

/** Sizes that every tensor must have, the fastest first. */
export function expectedTensors(blueprint: Blueprint): Map<string, number[]> {
  const { hiddenSize, heads, kvHeads, headSize, experts, vocabularySize } = blueprint
  const expected = new Map<string, number[]>([
    ['token_embd.weight', [hiddenSize, vocabularySize]],
    ['output_norm.weight', [hiddenSize]],
  ])
  if (!blueprint.tiedHead) expected.set('output.weight', [hiddenSize, vocabularySize])
  for (let layer = 0; layer < blueprint.layers; layer++) {
    const add = (name: string, ...dims: number[]) => expected.set(`blk.${layer}.${name}.weight`, dims)
    add('attn_norm', hiddenSize)
    add('attn_q', hiddenSize, heads * headSize)
    add('attn_k', hiddenSize, kvHeads * headSize)
    add('attn_v', hiddenSize, kvHeads * headSize)
    add('attn_output', heads * headSize, hiddenSize)
    add('ffn_norm', hiddenSize)
    add('ffn_gate_inp', hiddenSize, experts.count)
    for (const matrix of ['gate', 'up', 'down'] as const) {
      const shape = experts[matrix]
      add(`ffn_${matrix}_mpo_central`, centralColumns(shape), centralRows(shape))
      add(`ffn_${matrix}_mpo_left`, shape.columnLeft, shape.leftBond, experts.count)
      add(`ffn_${matrix}_mpo_right`, shape.rightBond, shape.rowRight, experts.count)
    }
  }
  return expected
}

function checkTensors(model: GgufModel, blueprint: Blueprint): void {
  const { file } = model.metadata
  const expected = expectedTensors(blueprint)
  for (const [name, dims] of expected) {
    const tensor = model.tensors.get(name)
    const wanted = dims.join(' × ')
    if (tensor === undefined) {
      throw new EngineError('model-format', `${file}: tensor ${name} (${wanted}) is missing.`, {
        hint: 'The file is incomplete. Convert the model again.',
        details: { file, tensor: name },
      })
    }
    const trimmed = tensor.dims.slice(0, dims.length)
    const isSame =
      dims.every((size, at) => size === trimmed[at]) &&
      tensor.dims.slice(dims.length).every((size) => size === 1)
    if (!isSame) {
      const has = tensor.dims.join(' × ')
      throw new EngineError(
        'model-format',
        `${file}: tensor ${name} has sizes ${has} where ${wanted} is needed.`,
        {
          hint: 'The metadata and the tensors contradict each other. Convert the model again.',
          details: { file, tensor: name, dims: tensor.dims, expected: dims },
        },
      )
    }
  }
  for (const name of model.tensors.keys()) {
    if (expected.has(name)) continue
    // A tensor that is silently left out (a bias, rotary factors) would make wrong answers.
    throw new EngineError('model-unsupported', `${file}: tensor ${name} has no place in ${ARCHITECTURE}.`, {
      hint: 'The model is a variant that this version does not run.',
      details: { file, tensor: name },
    })
  }
}
