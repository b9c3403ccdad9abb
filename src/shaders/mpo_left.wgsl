// mpo_left: U_e[d_l, j_c] = Σ_{j_l} L_e[d_l, j_l] · x[j_l, j_c] for every chosen expert of every token.
// uses: decode route
// dispatch: (ceil(bond / 64) · ceil(center / 4), pairs, matrices); a pair is (token, slot); 16 lanes.
// barrier-free; a thread owns 4 values of d_l, 16 apart, and 4 of j_c; f32 in j_l order.

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

// A word of L times 8 numbers of j_l of each of four j_c.
fn word_product(at: u32, low: mat4x4f, high: mat4x4f) -> vec4f {
  let packed = auxiliaries[at];
  return halves(packed.x, packed.y) * low + halves(packed.z, packed.w) * high;
}

fn store(row: u32, first: u32, start: u32, values: vec4f) {
  if (row >= params.bond) {
    return;
  }
  for (var i = 0u; i < 4u && first + i < params.center; i++) {
    u[start + (row * params.center + first + i) * COLUMNS] = values[i];
  }
}

@compute @workgroup_size(16)
fn mpo_left(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let tiles = (params.center + 3u) / 4u;
  let first = (workgroup.x % tiles) * 4u;
  let rows = vec4u((workgroup.x / tiles) * 64u + lane) + vec4u(0u, 16u, 32u, 48u);
  let pair = workgroup.y;
  let expert = routes[params.first_route + pair].expert;
  let offset = select(params.offset_first, params.offset_second, workgroup.z == 1u);
  // Rows and centers past the end repeat the last.
  let known = min(rows, vec4u(params.bond - 1u));
  var words = vec4u(offset) + (vec4u(expert * params.bond) + known) * params.row_words;
  let base = (pair / params.pairs_per_input) * params.center;
  let centers = min(vec4u(first) + vec4u(0u, 1u, 2u, 3u), vec4u(params.center - 1u));
  var at = (vec4u(base) + centers) * params.left_quads;
  var sum = mat4x4f();
  for (var word = 0u; word < params.row_words; word++) {
    let low = mat4x4f(x[at.x], x[at.y], x[at.z], x[at.w]);
    at += vec4u(1u);
    let high = mat4x4f(x[at.x], x[at.y], x[at.z], x[at.w]);
    at += vec4u(1u);
    sum[0] += word_product(words.x, low, high);
    sum[1] += word_product(words.y, low, high);
    sum[2] += word_product(words.z, low, high);
    sum[3] += word_product(words.w, low, high);
    words += vec4u(1u);
  }
  let length = params.bond * params.center;
  let start = workgroup.z * params.matrix_stride + (pair / COLUMNS) * length * COLUMNS + pair % COLUMNS;
  store(rows.x, first, start, sum[0]);
  store(rows.y, first, start, sum[1]);
  store(rows.z, first, start, sum[2]);
  store(rows.w, first, start, sum[3]);
}
