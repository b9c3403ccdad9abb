// mpo_left: U_e[d_l, j_c] = Σ_{j_l} L_e[d_l, j_l] · x[j_l, j_c] for every chosen expert of every token.
// uses: decode route
// dispatch: (ceil(bond · center tiles / 64), pairs, matrices); a pair is (token, slot).
// barrier-free; a thread keeps 4 values of j_c, so one decoded weight meets 4 numbers; f32 in j_l order.

struct Params {
  bond: u32,
  center: u32,
  // Numbers an inner row of x holds (j_l, padded to 8), in 4-number units.
  left_quads: u32,
  // 16-byte words of 8 f16 in a row of L.
  row_words: u32,
  // First word of L in the layer's auxiliaries, for the first matrix and for the second.
  offset_first: u32,
  offset_second: u32,
  // First entry of this layer in `routes`.
  first_route: u32,
  // Pairs that read the same row of x: top-k for the FFN's input, 1 for its hidden activation.
  pairs_per_input: u32,
  // Elements of U between the two matrices.
  matrix_stride: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> routes: array<Route>; // [layers, tokens, top_k]
@group(0) @binding(2) var<storage, read> auxiliaries: array<vec4u>; // docs/file-format.md, aux
@group(0) @binding(3) var<storage, read> x: array<vec4f>; // [inputs, center, left_quads]
@group(0) @binding(4) var<storage, read_write> u: array<f32>; // [matrices] tiled [pairs, bond · center]

override COLUMNS: u32 = 1u;

@compute @workgroup_size(64)
fn mpo_left(@builtin(global_invocation_id) id: vec3u) {
  let tiles = (params.center + 3u) / 4u;
  let row = id.x / tiles;
  let first = (id.x % tiles) * 4u;
  let pair = id.y;
  if (row >= params.bond) {
    return;
  }
  let expert = routes[params.first_route + pair].expert;
  let offset = select(params.offset_first, params.offset_second, id.z == 1u);
  let words = offset + (expert * params.bond + row) * params.row_words;
  let last = params.center - 1u;
  let centers = min(vec4u(first) + vec4u(0u, 1u, 2u, 3u), vec4u(last));
  let base = (pair / params.pairs_per_input) * params.center;
  var at = (vec4u(base) + centers) * params.left_quads;
  var sum = vec4f(0.0);
  for (var word = 0u; word < params.row_words; word++) {
    let packed = auxiliaries[words + word];
    let low = halves(packed.x, packed.y);
    sum += low * mat4x4f(x[at.x], x[at.y], x[at.z], x[at.w]);
    at += vec4u(1u);
    let high = halves(packed.z, packed.w);
    sum += high * mat4x4f(x[at.x], x[at.y], x[at.z], x[at.w]);
    at += vec4u(1u);
  }
  let length = params.bond * params.center;
  let start = id.z * params.matrix_stride + (pair / COLUMNS) * length * COLUMNS + pair % COLUMNS;
  for (var i = 0u; i < 4u && first + i < params.center; i++) {
    u[start + (row * params.center + first + i) * COLUMNS] = sum[i];
  }
}
