// rms_norm: y[t, k] = x[t, k] · w[k] / √(mean_k x² + eps).
// uses: state tiled reduce
// dispatch: (tokens); 64 lanes a token. With LAST only the token whose logits are wanted.
// One barrier; the sum of squares runs over lanes in a fixed order, f32.

struct Params {
  hidden: u32,
  eps: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> state: State;
@group(0) @binding(2) var<storage, read> x: array<f32>; // tiled [tokens, hidden]
@group(0) @binding(3) var<storage, read> weight: array<f32>; // [hidden]
@group(0) @binding(4) var<storage, read_write> y: array<f32>; // tiled [tokens, hidden]

// Columns of a tile of x, and of y.
override COLUMNS: u32 = 1u;
override COLUMNS_OUT: u32 = 1u;
override LAST: bool = false;

@compute @workgroup_size(64)
fn rms_norm(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let from_token = select(workgroup.x, state.logits_token, LAST);
  var squares = 0.0;
  for (var k = lane; k < params.hidden; k += 64u) {
    let value = x[tiled_index(from_token, k, params.hidden, COLUMNS)];
    squares += value * value;
  }
  let total = workgroup_sum(lane, squares);
  let scale = inverseSqrt(total / f32(params.hidden) + params.eps);
  for (var k = lane; k < params.hidden; k += 64u) {
    let value = x[tiled_index(from_token, k, params.hidden, COLUMNS)];
    y[tiled_index(workgroup.x, k, params.hidden, COLUMNS_OUT)] = value * scale * weight[k];
  }
}
