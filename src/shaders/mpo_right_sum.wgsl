// mpo_right_sum: x[t, i_c, i_r] += Σ_e w_e · Σ_{d_r} R_e[i_r, d_r] · V_e[i_c, d_r] over the token's experts.
// uses: decode route tiled mpo_right
// dispatch: (ceil(right / 64) · ceil(center / 4), tokens); 16 lanes.
// barrier-free; a thread owns 4 values of i_r and 4 of i_c; experts in order of falling weight, f32.

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

fn store(row: u32, first: u32, token: u32, values: vec4f) {
  if (row >= params.right) {
    return;
  }
  let length = params.center * params.right;
  for (var i = 0u; i < 4u && first + i < params.center; i++) {
    x[tiled_index(token, (first + i) * params.right + row, length, TOKEN_COLUMNS)] += values[i];
  }
}

@compute @workgroup_size(16)
fn mpo_right_sum(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let tiles = (params.center + 3u) / 4u;
  let first = (workgroup.x % tiles) * 4u;
  let rows = vec4u((workgroup.x / tiles) * 64u + lane) + vec4u(0u, 16u, 32u, 48u);
  let token = workgroup.y;
  var sum = mat4x4f();
  for (var slot = 0u; slot < params.top_k; slot++) {
    let pair = token * params.top_k + slot;
    let route = routes[params.first_route + pair];
    let words = row_starts(params.offset, route.expert, rows, params.row_words);
    sum += route.weight * right_rows(words, params.bond, column_start(pair), first);
  }
  store(rows.x, first, token, sum[0]);
  store(rows.y, first, token, sum[1]);
  store(rows.z, first, token, sum[2]);
  store(rows.w, first, token, sum[3]);
}
