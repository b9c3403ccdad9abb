// The plan of the loaded model: sizes, where bytes go, what each layer does.
import {
  centralColumns,
  centralRows,
  type MpoShape,
  macsPerToken,
  mpoColumns,
  mpoRows,
} from '../model/blueprint.ts'
import { neededBytes } from '../open-model.ts'
import type { ToolContext } from './tools.ts'

/** What `inspect` prints; `fits` is about `gpuBudgetBytes`, which need not be the one it was loaded with. */
export function inspectModel(
  { model, gpu }: ToolContext,
  gpuBudgetBytes: number = model.memory.budgetBytes,
): Record<string, unknown> {
  const { manifest, memory, runner } = model
  const { blueprint } = manifest
  const { contextTokens } = runner.network.state
  const needed = neededBytes(manifest, contextTokens)
  const floor = needed.weight + needed.kv + needed.scratch
  const { gate, up, down, count } = blueprint.experts
  return {
    id: manifest.id,
    name: manifest.name,
    license: manifest.license,
    blueprint,
    contextTokens,
    macsPerToken: macsPerToken(blueprint),
    bytes: {
      download: manifest.downloadBytes,
      stored: manifest.storedBytes,
      weights: needed.weight,
      kv: needed.kv,
      scratch: needed.scratch,
      floor,
      gpuNow: memory.usage().gpuBytes,
    },
    tiers: { gpu: needed.weight, ram: 0, disk: manifest.storedBytes },
    fits: floor <= gpuBudgetBytes,
    matrices: [
      { name: 'ffn_gate', ...matrixPlan(gate, count) },
      { name: 'ffn_up', ...matrixPlan(up, count) },
      { name: 'ffn_down', ...matrixPlan(down, count) },
    ],
    tensors: manifest.tensors.map(({ name, format, rows, columns, codes, scales }) => ({
      name,
      format,
      shape: [rows, columns],
      bytes: codes.bytes + (scales?.bytes ?? 0),
    })),
    device: gpu.info,
  }
}

function matrixPlan(shape: MpoShape, experts: number): Record<string, unknown> {
  const dense = mpoRows(shape) * mpoColumns(shape)
  const left = shape.leftBond * shape.columnLeft
  const right = shape.rowRight * shape.rightBond
  const central = centralRows(shape) * centralColumns(shape)
  const macs = shape.leftBond * mpoColumns(shape) + central + mpoRows(shape) * shape.rightBond
  return {
    plan: 'contract',
    shape: [mpoRows(shape), mpoColumns(shape)],
    bonds: [1, shape.leftBond, shape.rightBond, 1],
    macsOfDense: macs / dense,
    parameters: central + experts * (left + right),
    parametersOfDense: (central + experts * (left + right)) / (experts * dense),
  }
}
