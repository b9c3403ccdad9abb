// mpo_right_act: h[i_c, i_r] = silu(Σ_{d_r} Rg[i_r, d_r] · Vg[i_c, d_r]) · Σ_{d_r} Ru[i_r, d_r] · Vu[i_c, d_r].
// uses: decode route mpo_right
// dispatch: (ceil(right · center tiles / 64), pairs); a pair is (token, slot).
// barrier-free; a thread keeps 4 values of i_c; written in the order that the down matrix's left sweep reads.

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

@compute @workgroup_size(64)
fn mpo_right_act(@builtin(global_invocation_id) id: vec3u) {
  let row = id.x % params.right;
  let first = (id.x / params.right) * 4u;
  let pair = id.y;
  if (first >= params.center) {
    return;
  }
  let expert = routes[params.first_route + pair].expert;
  let at_row = expert * params.right + row;
  let base = (pair / COLUMNS) * params.v_rows * COLUMNS + pair % COLUMNS;
  let gate_at = params.offset_first + at_row * params.words_first;
  let up_at = params.offset_second + at_row * params.words_second;
  let up_base = base + params.v_second * COLUMNS;
  let gate = right_quad(gate_at, params.bond_first, base, first);
  let up = right_quad(up_at, params.bond_second, up_base, first);
  let value = gate / (1.0 + exp(-gate)) * up;
  for (var i = 0u; i < 4u && first + i < params.center; i++) {
    let k = (first + i) * params.right + row;
    let at = (pair * params.down_center + k % params.down_center) * params.down_stride;
    h[at + k / params.down_center] = value[i];
  }
}
