// How the network reaches the experts of a layer, wherever they live. Declared here, implemented in cache/.
import type { GpuMatrix } from '../ops/op.ts'

/** The MPO experts of one layer: shared central tensors and the auxiliaries of all experts. */
export interface MpoLayer {
  kind: 'mpo-skew'
  /** Gate stacked over up, the second part at a multiple of 128 rows. */
  gateUpCentral: GpuMatrix
  downCentral: GpuMatrix
  /** L and R of all experts, see model/aux-layout.ts. */
  auxiliaries: GPUBuffer
}

export interface ExpertSource {
  /** Experts of `layer`; buffers stay owned by the source. */
  layer(layer: number): MpoLayer
}
