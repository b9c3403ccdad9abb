// mpo_right_act: h[i_c, i_r] = silu(Σ_d Rg[i_r, d] · Vg[i_c, d]) · Σ_d Ru[i_r, d] · Vu[i_c, d], d = d_r.
// uses: decode route mpo_right
// dispatch: (ceil(right / 64) · ceil(center / 4), pairs); a pair is (token, slot); 16 lanes.
// barrier-free; a thread owns 4 values of i_r and 4 of i_c; written as the down matrix's left sweep reads it.

struct Params {
  center: u32,
  right: u32,
  // Right bonds of the two matrices, and 16-byte words of 8 f16 in a row of their R.
  bond_first: u32,
  bond_second: u32,
  words_first: u32,
  words_second: u32,
  offset_first: u32,
  offset_second: u32,
  first_route: u32,
  // Rows of V a pair holds, and where the second matrix begins.
  v_rows: u32,
  v_second: u32,
  // Mixed radix of h for the down matrix: k = j_l · down_center + j_c; numbers an inner row holds.
  down_center: u32,
  down_stride: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> routes: array<Route>; // [layers, tokens, top_k]
@group(0) @binding(2) var<storage, read> auxiliaries: array<vec4u>; // docs/file-format.md, aux
@group(0) @binding(3) var<storage, read> v: array<f32>; // tiled [pairs, v_rows]
@group(0) @binding(4) var<storage, read_write> h: array<f32>; // [pairs, down_center, down_stride]

override COLUMNS: u32 = 1u;

fn store(row: u32, first: u32, pair: u32, gate: vec4f, up: vec4f) {
  if (row >= params.right) {
    return;
  }
  let value = gate / (1.0 + exp(-gate)) * up;
  for (var i = 0u; i < 4u && first + i < params.center; i++) {
    let k = (first + i) * params.right + row;
    let at = (pair * params.down_center + k % params.down_center) * params.down_stride;
    h[at + k / params.down_center] = value[i];
  }
}

@compute @workgroup_size(16)
fn mpo_right_act(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let tiles = (params.center + 3u) / 4u;
  let first = (workgroup.x % tiles) * 4u;
  let rows = vec4u((workgroup.x / tiles) * 64u + lane) + vec4u(0u, 16u, 32u, 48u);
  let pair = workgroup.y;
  let expert = routes[params.first_route + pair].expert;
  let gate_at = row_starts(params.offset_first, expert, rows, params.words_first);
  let up_at = row_starts(params.offset_second, expert, rows, params.words_second);
  let base = column_start(pair);
  let gate = right_rows(gate_at, params.bond_first, base, first);
  let up = right_rows(up_at, params.bond_second, base + params.v_second * COLUMNS, first);
  store(rows.x, first, pair, gate[0], up[0]);
  store(rows.y, first, pair, gate[1], up[1]);
  store(rows.z, first, pair, gate[2], up[2]);
  store(rows.w, first, pair, gate[3], up[3]);
}
