// Embedding rows of the step's tokens; see embed.wgsl.
import source from '../../shaders/embed.wgsl'
import { NUMBERS_PER_CHUNK } from '../store/manifest.ts'
import { FORMAT_CODE, type GpuMatrix, type Op, type OpContext, type TileColumns } from './op.ts'

/** x[t] = E[token_t]; `x` is tiled [tokens, hidden]. */
export async function makeEmbed(
  context: OpContext,
  options: { embedding: GpuMatrix; x: GPUBuffer; tile: TileColumns },
): Promise<Op> {
  const { embedding, x, tile } = options
  const kernel = await context.library.get(source, {
    overrides: { COLUMNS: tile },
    specs: { FORMAT: FORMAT_CODE[embedding.format] },
  })
  const bound = kernel.bind(
    context.memory,
    { state: context.state, codes: embedding.codes, scales: embedding.scales, x },
    {
      hidden: embedding.columns,
      chunks: embedding.columns / NUMBERS_PER_CHUNK[embedding.format],
      vocabulary: embedding.rows,
    },
  )
  const groups = Math.ceil(embedding.columns / 4 / 64)
  return { name: bound.name, encode: (pass, { count }) => bound.encode(pass, groups, count) }
}
