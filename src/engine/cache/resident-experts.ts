// Experts that are all on the GPU from load to unload.
import type { ExpertSource } from '../model/expert-source.ts'
import type { GpuWeights } from '../model/weights.ts'

/** The expert source of a model that fits. */
export function residentExperts(weights: GpuWeights): ExpertSource {
  return {
    layer: (layer) => ({
      kind: 'mpo-skew',
      gateUpCentral: weights.matrix(`layer.${layer}.gate_up_central`),
      downCentral: weights.matrix(`layer.${layer}.down_central`),
      auxiliaries: weights.buffer(`layer.${layer}.aux`),
    }),
  }
}
