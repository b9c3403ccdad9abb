// attend_split: one head of one token over one range of positions, online softmax:
// m = max s, l = Σ exp(s − m), o = Σ exp(s − m) · v, with s = q·k · scale over positions ≤ the token's.
// uses: state tiled
// dispatch: (heads, tokens, splits); 64 lanes, a lane owns a position for scores, dimensions for sums.
// One barrier, then four a tile of 64 positions; sums in order of position, f32. After FlashAttention-2.

struct Params {
  heads: u32,
  // Query heads that share a KV head.
  group: u32,
  head_size: u32,
  capacity: u32,
  stride: u32,
  split_size: u32,
  // Splits the partial buffer has room for, a token and head.
  max_splits: u32,
  scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> state: State;
@group(0) @binding(2) var<storage, read> qkv: array<f32>; // tiled [tokens, stride]
@group(0) @binding(3) var<storage, read> keys: array<vec4f>; // [kv_heads, head_size / 4, capacity]
@group(0) @binding(4) var<storage, read> values: array<f32>; // [kv_heads, capacity, head_size]
@group(0) @binding(5) var<storage, read_write> partial: array<f32>; // [tokens, heads, splits, head_size + 2]

override COLUMNS: u32 = 1u;
const LOWEST = -3.0e38;

var<workgroup> query: array<vec4f, 64>;
var<workgroup> scores: array<f32, 64>;

@compute @workgroup_size(64)
fn attend_split(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let head = workgroup.x;
  let token = workgroup.y;
  let kv_head = head / params.group;
  let quads = params.head_size / 4u;
  if (lane < quads) {
    let row = head * params.head_size + lane * 4u;
    query[lane] = vec4f(
      qkv[tiled_index(token, row, params.stride, COLUMNS)],
      qkv[tiled_index(token, row + 1u, params.stride, COLUMNS)],
      qkv[tiled_index(token, row + 2u, params.stride, COLUMNS)],
      qkv[tiled_index(token, row + 3u, params.stride, COLUMNS)],
    ) * params.scale;
  }
  workgroupBarrier();
  let first = workgroup.z * params.split_size;
  let end = min(state.position + token + 1u, first + params.split_size);
  var peak = LOWEST;
  var total = 0.0;
  // Head sizes up to 256: four dimensions a lane.
  var sums = vec4f(0.0);
  for (var start = first; start < end; start += 64u) {
    let count = min(64u, end - start);
    var score = LOWEST;
    if (lane < count) {
      var dots = 0.0;
      for (var quad = 0u; quad < quads; quad++) {
        dots += dot(query[quad], keys[(kv_head * quads + quad) * params.capacity + start + lane]);
      }
      score = dots;
    }
    scores[lane] = score;
    workgroupBarrier();
    var next_peak = peak;
    for (var i = 0u; i < count; i++) {
      next_peak = max(next_peak, scores[i]);
    }
    workgroupBarrier();
    scores[lane] = select(0.0, exp(score - next_peak), lane < count);
    workgroupBarrier();
    let fade = exp(peak - next_peak);
    peak = next_peak;
    total *= fade;
    for (var i = 0u; i < count; i++) {
      total += scores[i];
    }
    var part = 0u;
    for (var dimension = lane; dimension < params.head_size; dimension += 64u) {
      var sum = sums[part] * fade;
      var at = (kv_head * params.capacity + start) * params.head_size + dimension;
      for (var i = 0u; i < count; i++) {
        sum += scores[i] * values[at];
        at += params.head_size;
      }
      sums[part] = sum;
      part++;
    }
    workgroupBarrier();
  }
  let base = ((token * params.heads + head) * params.max_splits + workgroup.z)
    * (params.head_size + 2u);
  if (lane == 0u) {
    partial[base] = peak;
    partial[base + 1u] = total;
  }
  var part = 0u;
  for (var dimension = lane; dimension < params.head_size; dimension += 64u) {
    partial[base + 2u + dimension] = sums[part];
    part++;
  }
}
