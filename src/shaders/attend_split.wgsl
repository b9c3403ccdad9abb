// attend_split: one head of one token over one range of positions, online softmax:
// m = max s, l = Σ exp(s − m), o = Σ exp(s − m) · v, with s = q·k · scale over positions ≤ the token's.
// uses: state tiled
// dispatch: (heads, tokens, splits); 64 lanes: a lane owns a position for scores, 4 dimensions for sums.
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
@group(0) @binding(4) var<storage, read> values: array<vec4f>; // [kv_heads, capacity, head_size / 4]
@group(0) @binding(5) var<storage, read_write> partial: array<f32>; // [tokens, heads, splits, head_size + 2]

override COLUMNS: u32 = 1u;
const LOWEST = -3.0e38;

var<workgroup> query: array<vec4f, 64>;
var<workgroup> scores: array<f32, 64>;
var<workgroup> peaks: array<f32, 8>;
var<workgroup> part_sums: array<vec4f, 64>;
var<workgroup> part_totals: array<f32, 64>;

// The largest score of the tile, in two steps so that no lane reads all of them.
fn tile_peak(lane: u32) -> f32 {
  if (lane < 8u) {
    var peak = LOWEST;
    for (var i = lane * 8u; i < lane * 8u + 8u; i++) {
      peak = max(peak, scores[i]);
    }
    peaks[lane] = peak;
  }
  workgroupBarrier();
  var peak = peaks[0];
  for (var i = 1u; i < 8u; i++) {
    peak = max(peak, peaks[i]);
  }
  return peak;
}

@compute @workgroup_size(64)
fn attend_split(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let head = workgroup.x;
  let token = workgroup.y;
  let kv_head = head / params.group;
  let quads = params.head_size / 4u;
  // For the sums a lane owns four dimensions and every `parts`-th position.
  let parts = 64u / quads;
  let part = lane / quads;
  let quad = lane % quads;
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
  var sum = vec4f(0.0);
  for (var start = first; start < end; start += 64u) {
    let count = min(64u, end - start);
    var score = LOWEST;
    if (lane < count) {
      var dots = vec4f(0.0);
      var at = kv_head * quads * params.capacity + start + lane;
      for (var i = 0u; i < quads; i++) {
        dots += query[i] * keys[at];
        at += params.capacity;
      }
      score = dot(dots, vec4f(1.0));
    }
    scores[lane] = score;
    workgroupBarrier();
    let next_peak = max(peak, tile_peak(lane));
    // Nobody reads the plain scores any more: tile_peak passed a barrier.
    scores[lane] = select(0.0, exp(score - next_peak), lane < count);
    workgroupBarrier();
    let fade = exp(peak - next_peak);
    peak = next_peak;
    total *= fade;
    sum *= fade;
    if (part < parts) {
      let base = (kv_head * params.capacity + start) * quads + quad;
      for (var i = part; i < count; i += parts) {
        let weight = scores[i];
        total += weight;
        sum += weight * values[base + i * quads];
      }
    }
    workgroupBarrier();
  }
  part_sums[lane] = sum;
  part_totals[lane] = total;
  workgroupBarrier();
  if (lane >= quads) {
    return;
  }
  for (var i = 1u; i < parts; i++) {
    total += part_totals[i * quads + lane];
    sum += part_sums[i * quads + lane];
  }
  let base = ((token * params.heads + head) * params.max_splits + workgroup.z)
    * (params.head_size + 2u);
  if (lane == 0u) {
    partial[base] = peak;
    partial[base + 1u] = total;
  }
  for (var i = 0u; i < 4u; i++) {
    partial[base + 2u + lane * 4u + i] = sum[i];
  }
}
