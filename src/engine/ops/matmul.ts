// Matrix times column tiles; see matmul.wgsl and its variant matmul_subgroups.wgsl.
import plainSource from '../../shaders/matmul.wgsl'
import subgroupsSource from '../../shaders/matmul_subgroups.wgsl'
import { GROUP_ROWS, NUMBERS_PER_CHUNK } from '../store/manifest.ts'
import { columnsType, FORMAT_CODE, type GpuMatrix, type Op, type OpContext, type TileColumns } from './op.ts'

export interface MatmulOptions {
  matrix: GpuMatrix
  /** Tiled [columns, matrix.columns]. */
  input: GPUBuffer
  /** Tiled [columns, outRows]. */
  output: GPUBuffer
  tile: TileColumns
  columnsPerToken: number
  accumulate?: boolean
  /** Rows of an output column; default: the matrix's. */
  outRows?: number
  outFirst?: number
  /** Stacked matrices: rows from `splitRow` on (a multiple of 128) read `splitElements` later in `input`. */
  splitRow?: number
  splitElements?: number
  /** Lanes tell each other the activations they load; default: where subgroups are narrow. */
  sharesLoads?: boolean
}

/**
 * Wider subgroups load what all their lanes read in one transaction, and telling it to each other costs more
 * than it saves; a device of a few lanes, as a processor is, loads lane by lane.
 */
const NARROW_LANES = 8

function hasNarrowSubgroups({ features, adapterInfo }: GPUDevice): boolean {
  return (
    features.has('subgroups') && (adapterInfo.subgroupMaxSize ?? Number.POSITIVE_INFINITY) <= NARROW_LANES
  )
}

/**
 * Row groups a thread walks at once, as `GROUPS` in matmul.wgsl. Eight need half the loads of activations and
 * twice the registers, and leave half the threads: for the large grids of prefill, on devices without many
 * lanes to fill. A thread's groups never straddle the parts of a stacked matrix.
 */
function groupsPerThread({ matrix, tile, splitRow }: MatmulOptions, sharesLoads: boolean): 4 | 8 {
  const isSplitInside = splitRow !== undefined && splitRow % (8 * GROUP_ROWS) !== 0
  return sharesLoads && tile === 4 && matrix.format === 'q4_1' && !isSplitInside ? 8 : 4
}

/** y[row, column] (+)= Σ_k W[row, k] · x[k, column]. */
export async function makeMatmul(context: OpContext, options: MatmulOptions): Promise<Op> {
  const { matrix, input, output, tile, columnsPerToken } = options
  const sharesLoads = options.sharesLoads ?? hasNarrowSubgroups(context.memory.device)
  const perThread = groupsPerThread(options, sharesLoads)
  const kernel = await context.library.get(sharesLoads ? subgroupsSource : plainSource, {
    overrides: { ACCUMULATE: options.accumulate === true },
    specs: { FORMAT: FORMAT_CODE[matrix.format], GROUPS: perThread, Columns: columnsType(tile) },
  })
  const groups = Math.ceil(matrix.rows / GROUP_ROWS)
  const bound = kernel.bind(
    context.memory,
    { codes: matrix.codes, scales: matrix.scales, input, output },
    {
      groups,
      rows: matrix.rows,
      chunks: matrix.columns / NUMBERS_PER_CHUNK[matrix.format],
      quads: matrix.columns / 4,
      out_rows: options.outRows ?? matrix.rows,
      out_first: options.outFirst ?? 0,
      split_group: options.splitRow === undefined ? 0xffffffff : options.splitRow / GROUP_ROWS,
      split_quads: (options.splitElements ?? 0) / (4 * tile),
    },
  )
  const groupTiles = Math.ceil(groups / perThread)
  return {
    name: bound.name,
    encode: (pass, { count }) => bound.encode(pass, groupTiles, Math.ceil((count * columnsPerToken) / tile)),
  }
}
