// matmul_subgroups: y[row, column] (+)= Σ_k W[row, k] · x[k, column], matmul with a quarter of its x loads.
// uses: columns decode quads_subgroups rows32 rows32_blocks row_product
// dispatch: (ceil(groups / GROUPS), column tiles); 32 lanes, a thread owns GROUPS rows of one column tile.
// barrier-free; matmul's sums in the same order, f32. For devices of few lanes, see ops/matmul.ts.

enable subgroups;

struct Params {
  // Row groups of 32, and rows to store (padding rows of the last group are dropped).
  groups: u32,
  rows: u32,
  // 16-byte chunks a row, and quads of activations a column.
  chunks: u32,
  quads: u32,
  // Rows of an output column, and where this matrix begins in it.
  out_rows: u32,
  out_first: u32,
  // Stacked matrices: groups from `split_group` on read their input `split_quads` quads later.
  split_group: u32,
  split_quads: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> codes: array<vec4u>; // [groups, chunks, 32]
@group(0) @binding(2) var<storage, read> scales: array<u32>; // [groups, blocks, 32]
@group(0) @binding(3) var<storage, read> input: array<Quad>; // [tiles, quads]
@group(0) @binding(4) var<storage, read_write> output: array<Columns>; // [tiles, out_rows]

override ACCUMULATE: bool = false;

@compute @workgroup_size(32)
fn matmul_subgroups(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(local_invocation_index) lane: u32,
  @builtin(subgroup_invocation_id) subgroup_lane: u32,
) {
  own_quad = subgroup_lane & 3u;
  row_product(workgroup, lane);
}
