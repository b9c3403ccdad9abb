// Stored manifests and tokenizer records are outside data: shape and ranges are checked on every read.
import * as v from 'valibot'
import { EngineError } from '../errors.ts'
import type { Blueprint } from '../model/blueprint.ts'
import type { TokenizerData } from '../text/tokenizer-data.ts'
import {
  type ModelManifest,
  type PackedTensor,
  type PlaneRange,
  packedBytes,
  type RecordGroup,
} from './manifest.ts'
import { isModelId } from './model-id.ts'

const text = v.pipe(v.string(), v.maxLength(4096))
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
const size = v.pipe(v.number(), v.safeInteger(), v.minValue(1))
const finite = v.pipe(v.number(), v.finite())
const crc = v.pipe(count, v.maxValue(0xffffffff))

const mpoShape = v.object({
  rowCenter: size,
  rowRight: size,
  columnLeft: size,
  columnCenter: size,
  leftBond: size,
  rightBond: size,
})

const blueprint = v.object({
  architecture: text,
  layers: size,
  hiddenSize: size,
  heads: size,
  kvHeads: size,
  headSize: size,
  ffnSize: size,
  vocabularySize: size,
  contextTokens: size,
  rmsEps: finite,
  ropeBase: finite,
  ropeDimensions: size,
  tiedHead: v.boolean(),
  router: v.object({
    score: v.picklist(['softmax', 'sigmoid', 'none']),
    topK: size,
    renormalize: v.boolean(),
    scale: finite,
  }),
  experts: v.object({
    kind: v.literal('mpo-skew'),
    count: size,
    gate: mpoShape,
    up: mpoShape,
    down: mpoShape,
  }),
}) satisfies v.GenericSchema<unknown, Blueprint>

const recordPart = v.object({ key: text, bytes: count, crc32: crc })
const recordGroup = v.object({ name: text, bytes: count, parts: v.array(recordPart) })
const plane = v.object({ offsetBytes: v.pipe(count, v.multipleOf(16)), bytes: count })

const packedTensor = v.object({
  name: text,
  group: text,
  layout: v.picklist(['rows32', 'plain', 'aux']),
  format: v.picklist(['q4_1', 'q8_0', 'f16', 'f32']),
  rows: size,
  columns: size,
  codes: plane,
  scales: v.optional(plane),
})

const origin = v.variant('kind', [
  v.object({ kind: v.literal('url'), urls: v.array(v.string()) }),
  v.object({ kind: v.literal('files'), names: v.array(v.string()) }),
])

const manifest = v.pipe(
  v.object({
    version: v.literal(1),
    id: v.pipe(v.string(), v.check(isModelId, 'is no model id')),
    name: text,
    description: text,
    license: text,
    origin,
    fingerprint: v.string(),
    importedAt: finite,
    downloadBytes: count,
    storedBytes: count,
    blueprint,
    tokenizer: recordPart,
    groups: v.array(recordGroup),
    tensors: v.array(packedTensor),
  }),
  v.check(({ groups }) => groups.every(isWhole), 'has a group whose parts do not add up'),
  v.check(
    ({ groups, tensors }) => tensors.every((tensor) => fitsGroup(tensor, groups)),
    'has a tensor outside its group',
  ),
) satisfies v.GenericSchema<unknown, ModelManifest>

function isWhole(group: RecordGroup): boolean {
  return group.parts.reduce((sum, part) => sum + part.bytes, 0) === group.bytes
}

function fitsGroup(tensor: PackedTensor, groups: readonly RecordGroup[]): boolean {
  const group = groups.find(({ name }) => name === tensor.group)
  if (group === undefined) return false
  const isInside = (range: PlaneRange) => range.offsetBytes + range.bytes <= group.bytes
  const expected = expectedBytes(tensor)
  const scaleBytes = tensor.scales?.bytes ?? 0
  if (tensor.codes.bytes !== expected.codes || scaleBytes !== expected.scales) return false
  return isInside(tensor.codes) && (tensor.scales === undefined || isInside(tensor.scales))
}

function expectedBytes({ layout, format, rows, columns }: PackedTensor): { codes: number; scales: number } {
  if (layout === 'rows32') return packedBytes(format, rows, columns)
  return { codes: rows * columns * (layout === 'aux' ? 2 : 4), scales: 0 }
}

const tokenizerData = v.object({
  model: v.string(),
  pre: v.string(),
  tokens: v.array(v.string()),
  types: v.array(v.number()),
  merges: v.array(v.string()),
  bosId: v.optional(count),
  eosId: v.optional(count),
  unknownId: v.optional(count),
  paddingId: v.optional(count),
  addBos: v.boolean(),
  addSpacePrefix: v.boolean(),
  chatTemplate: v.optional(v.string()),
}) satisfies v.GenericSchema<unknown, TokenizerData>

/** A manifest as it was stored. @throws `model-corrupt` naming the first field that is wrong. */
export function checkManifest(id: string, value: unknown): ModelManifest {
  const result = v.safeParse(manifest, value)
  if (result.success && result.output.id === id) return result.output
  const issue = result.issues?.[0]
  const where = issue === undefined ? 'id' : (v.getDotPath(issue) ?? 'manifest')
  throw new EngineError('model-corrupt', `The stored description of "${id}" is damaged at ${where}.`, {
    hint: 'Delete the model and import it again.',
    details: { model: id, field: where, problem: issue?.message ?? 'names another model' },
  })
}

/** Tokenizer data as it was stored. @throws `model-corrupt` naming the record. */
export function checkTokenizerData(id: string, record: string, json: string): TokenizerData {
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch {
    value = undefined
  }
  const result = v.safeParse(tokenizerData, value)
  if (result.success) return result.output
  throw new EngineError('model-corrupt', `The tokenizer of "${id}" is damaged.`, {
    hint: 'Delete the model and import it again.',
    details: { model: id, record },
  })
}
