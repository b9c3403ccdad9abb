// probe_rows: y[row] = Σ_k W[row, k] · x[k], the plainest good kernel: the yardstick of bench decode.
// uses: decode
// dispatch: (ceil(rows / 64)); one row a thread, q4_1 rows one after the other, vec4u loads.
// barrier-free; f32. Not used by the network.

struct Params {
  rows: u32,
  blocks: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> codes: array<vec4u>; // [rows, blocks]
@group(0) @binding(2) var<storage, read> scales: array<u32>; // [rows, blocks]
@group(0) @binding(3) var<storage, read> x: array<vec4f>; // [blocks, 8]
@group(0) @binding(4) var<storage, read_write> y: array<f32>; // [rows]

@compute @workgroup_size(64)
fn probe_rows(@builtin(global_invocation_id) id: vec3u) {
  let row = id.x;
  if (row >= params.rows) {
    return;
  }
  var sum = 0.0;
  for (var block = 0u; block < params.blocks; block++) {
    let at = row * params.blocks + block;
    let word = codes[at];
    let scale = unpack2x16float(scales[at]);
    let first = block * 8u;
    let x0 = x[first];
    let x1 = x[first + 1u];
    let x2 = x[first + 2u];
    let x3 = x[first + 3u];
    let x4 = x[first + 4u];
    let x5 = x[first + 5u];
    let x6 = x[first + 6u];
    let x7 = x[first + 7u];
    let products = dot(low_nibbles(word.x), x0) + dot(low_nibbles(word.y), x1)
      + dot(low_nibbles(word.z), x2) + dot(low_nibbles(word.w), x3)
      + dot(high_nibbles(word.x), x4) + dot(high_nibbles(word.y), x5)
      + dot(high_nibbles(word.z), x6) + dot(high_nibbles(word.w), x7);
    let total = x0 + x1 + x2 + x3 + x4 + x5 + x6 + x7;
    sum += scale.x * products + scale.y * dot(total, vec4f(1.0));
  }
  y[row] = sum;
}
