// The best logits and the sums of every chunk of the vocabulary; see sample_chunks.wgsl.
import source from '../../shaders/sample_chunks.wgsl'
import type { Op, OpContext } from './op.ts'

/** Bytes of one chunk's record. */
export const CHUNK_BYTES = 48

/** Chunks of a vocabulary: enough threads for a GPU, a small readback. */
export function chunkCount(vocabulary: number): number {
  return Math.min(512, Math.max(1, Math.ceil(vocabulary / 16)))
}

/** Bytes of all records of a vocabulary. */
export function chunkRecordBytes(vocabulary: number): number {
  return chunkCount(vocabulary) * CHUNK_BYTES
}

export interface SampleOptions {
  vocabulary: number
  logits: GPUBuffer
  /** Bits of the tokens that the repetition penalty applies to. */
  seen: GPUBuffer
  chunks: GPUBuffer
}

/** One small record per chunk, from which the sampler draws exactly. */
export async function makeSampleChunks(context: OpContext, options: SampleOptions): Promise<Op> {
  const { vocabulary, logits, seen, chunks } = options
  const kernel = await context.library.get(source)
  const count = chunkCount(vocabulary)
  const bound = kernel.bind(
    context.memory,
    { state: context.state, logits, seen, chunks },
    { vocabulary, chunks: count },
  )
  return { name: bound.name, encode: (pass) => bound.encode(pass, Math.ceil(count / 64)) }
}
