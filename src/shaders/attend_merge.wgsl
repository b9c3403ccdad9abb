// attend_merge: out = Σ_s exp(m_s − m) · o_s / Σ_s exp(m_s − m) · l_s over the splits of attend_split.
// uses: state tiled
// dispatch: (ceil(heads · head_size / 64), tokens); a thread owns one dimension of one head.
// barrier-free; splits are added in order, f32.

struct Params {
  heads: u32,
  head_size: u32,
  split_size: u32,
  max_splits: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> state: State;
@group(0) @binding(2) var<storage, read> partial: array<f32>; // [tokens, heads, splits, head_size + 2]
@group(0) @binding(3) var<storage, read_write> output: array<f32>; // tiled [tokens, heads · head_size]

override COLUMNS: u32 = 1u;

@compute @workgroup_size(64)
fn attend_merge(@builtin(global_invocation_id) id: vec3u) {
  let token = id.y;
  let width = params.heads * params.head_size;
  if (id.x >= width) {
    return;
  }
  let head = id.x / params.head_size;
  let dimension = id.x % params.head_size;
  let splits = (state.position + token) / params.split_size + 1u;
  let stride = params.head_size + 2u;
  let base = (token * params.heads + head) * params.max_splits * stride;
  var peak = partial[base];
  for (var s = 1u; s < splits; s++) {
    peak = max(peak, partial[base + s * stride]);
  }
  var total = 0.0;
  var sum = 0.0;
  for (var s = 0u; s < splits; s++) {
    let at = base + s * stride;
    let share = exp(partial[at] - peak);
    total += share * partial[at + 1u];
    sum += share * partial[at + 2u + dimension];
  }
  output[tiled_index(token, id.x, width, COLUMNS)] = sum / total;
}
