// mpo_right_sum: x[t, i_c, i_r] += Σ_e w_e · Σ_{d_r} R_e[i_r, d_r] · V_e[i_c, d_r] over the token's experts.
// uses: decode route tiled mpo_right
// dispatch: (ceil(right · center tiles / 64), tokens); a thread owns 4 values of i_c of one token.
// barrier-free; experts are added in order of falling weight, f32.

struct Params {
  bond: u32,
  center: u32,
  right: u32,
  row_words: u32,
  offset: u32,
  first_route: u32,
  top_k: u32,
  // Rows of V a pair holds.
  v_rows: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> routes: array<Route>; // [layers, tokens, top_k]
@group(0) @binding(2) var<storage, read> auxiliaries: array<vec4u>; // docs/file-format.md, aux
@group(0) @binding(3) var<storage, read> v: array<f32>; // tiled [pairs, v_rows]
@group(0) @binding(4) var<storage, read_write> x: array<f32>; // tiled [tokens, center · right]

// Columns of a tile of V (pairs), and of x (tokens).
override COLUMNS: u32 = 1u;
override TOKEN_COLUMNS: u32 = 1u;

@compute @workgroup_size(64)
fn mpo_right_sum(@builtin(global_invocation_id) id: vec3u) {
  let row = id.x % params.right;
  let first = (id.x / params.right) * 4u;
  let token = id.y;
  if (first >= params.center) {
    return;
  }
  var sum = vec4f(0.0);
  for (var slot = 0u; slot < params.top_k; slot++) {
    let pair = token * params.top_k + slot;
    let route = routes[params.first_route + pair];
    let words = params.offset + (route.expert * params.right + row) * params.row_words;
    let base = (pair / COLUMNS) * params.v_rows * COLUMNS + pair % COLUMNS;
    sum += route.weight * right_quad(words, params.bond, base, first);
  }
  let length = params.center * params.right;
  for (var i = 0u; i < 4u && first + i < params.center; i++) {
    x[tiled_index(token, (first + i) * params.right + row, length, TOKEN_COLUMNS)] += sum[i];
  }
}
