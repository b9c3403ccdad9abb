// rope_append: rotates q in place, rotates k into the cache, copies v into the cache.
// uses: state tiled
// dispatch: (ceil((heads + 2 kv_heads) · head_size / 2 / 64), tokens); a thread owns a pair (2i, 2i+1).
// barrier-free; cos and sin come from a table made in f64, for WGSL's own are too coarse.

struct Params {
  heads: u32,
  kv_heads: u32,
  head_size: u32,
  // Leading dimensions that rotate.
  rope_size: u32,
  // Positions the cache holds.
  capacity: u32,
  // Numbers of q, k and v together, a token.
  stride: u32,
  k_offset: u32,
  v_offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> state: State;
@group(0) @binding(2) var<storage, read> rope: array<vec2f>; // [capacity, rope_size / 2] (cos, sin)
@group(0) @binding(3) var<storage, read_write> qkv: array<f32>; // tiled [tokens, stride]
@group(0) @binding(4) var<storage, read_write> keys: array<f32>; // [kv_heads, head_size / 4, capacity, 4]
@group(0) @binding(5) var<storage, read_write> values: array<f32>; // [kv_heads, capacity, head_size]

override COLUMNS: u32 = 1u;

@compute @workgroup_size(64)
fn rope_append(@builtin(global_invocation_id) id: vec3u) {
  let half_size = params.head_size / 2u;
  let token = id.y;
  let head = id.x / half_size;
  let first = (id.x % half_size) * 2u;
  let position = state.position + token;
  if (head >= params.heads + 2u * params.kv_heads || position >= params.capacity) {
    return;
  }
  let is_query = head < params.heads;
  let is_value = head >= params.heads + params.kv_heads;
  let kv_head = select(head - params.heads, head - params.heads - params.kv_heads, is_value);
  var row = head * params.head_size + first;
  if (!is_query) {
    row = select(params.k_offset, params.v_offset, is_value) + kv_head * params.head_size + first;
  }
  let even_at = tiled_index(token, row, params.stride, COLUMNS);
  let odd_at = tiled_index(token, row + 1u, params.stride, COLUMNS);
  let even = qkv[even_at];
  let odd = qkv[odd_at];
  if (is_value) {
    let at = (kv_head * params.capacity + position) * params.head_size + first;
    values[at] = even;
    values[at + 1u] = odd;
    return;
  }
  var turned = vec2f(even, odd);
  if (first < params.rope_size) {
    let turn = rope[position * (params.rope_size / 2u) + first / 2u];
    turned = vec2f(even * turn.x - odd * turn.y, even * turn.y + odd * turn.x);
  }
  if (is_query) {
    qkv[even_at] = turned.x;
    qkv[odd_at] = turned.y;
    return;
  }
  let quad = kv_head * (params.head_size / 4u) + first / 4u;
  let at = (quad * params.capacity + position) * 4u + first % 4u;
  keys[at] = turned.x;
  keys[at + 1u] = turned.y;
}
