// route_topk: n = RMSNorm(x); p = softmax(Wr·n); the top k by rank, renormalized; n for the experts.
// uses: state tiled reduce route
// dispatch: (tokens); 64 lanes a token: sum of squares, then (expert, part) dot products, then ranks.
// f32 throughout; ties go to the lower expert. Four barriers. Formula: Mixtral's order, softmax before top-k.

struct Params {
  hidden: u32,
  experts: u32,
  top_k: u32,
  // Lanes that share one expert's product; 1 when there are more than 32 experts.
  parts: u32,
  eps: f32,
  scale: f32,
  renormalize: u32,
  // First entry of this layer in `routes` and `forced`.
  first_route: u32,
  // Mixed radix of n for the left auxiliaries: k = j_l · column_center + j_c.
  column_center: u32,
  left_stride: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> state: State;
@group(0) @binding(2) var<storage, read> x: array<f32>; // tiled [tokens, hidden]
@group(0) @binding(3) var<storage, read> norm: array<f32>; // [hidden]
@group(0) @binding(4) var<storage, read> router: array<f32>; // [experts, hidden]
@group(0) @binding(5) var<storage, read> forced: array<u32>; // [layers, tokens, top_k]
@group(0) @binding(6) var<storage, read_write> routes: array<Route>; // [layers, tokens, top_k]
@group(0) @binding(7) var<storage, read_write> normed: array<f32>; // [tokens, column_center, left_stride]

override COLUMNS: u32 = 1u;

var<workgroup> dots: array<f32, 256>;
var<workgroup> logits: array<f32, 256>;
var<workgroup> slots: array<u32, 256>;

// Experts that come before this one: larger logit, or equal logit and lower index.
fn rank_of(expert: u32) -> u32 {
  let own = logits[expert];
  var rank = 0u;
  for (var other = 0u; other < params.experts; other++) {
    let rival = logits[other];
    rank += select(0u, 1u, rival > own || (rival == own && other < expert));
  }
  return rank;
}

fn forced_slot(token: u32, expert: u32) -> u32 {
  var slot = params.top_k;
  for (var i = 0u; i < params.top_k; i++) {
    if (forced[params.first_route + token * params.top_k + i] == expert) {
      slot = i;
    }
  }
  return slot;
}

@compute @workgroup_size(64)
fn route_topk(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let token = workgroup.x;
  let hidden = params.hidden;
  var squares = 0.0;
  for (var k = lane; k < hidden; k += 64u) {
    let value = x[tiled_index(token, k, hidden, COLUMNS)];
    squares += value * value;
  }
  let mean = workgroup_sum(lane, squares) / f32(hidden);
  let scale = inverseSqrt(mean + params.eps);
  for (var k = lane; k < hidden; k += 64u) {
    let value = x[tiled_index(token, k, hidden, COLUMNS)] * scale * norm[k];
    let center = k % params.column_center;
    let left = k / params.column_center;
    normed[(token * params.column_center + center) * params.left_stride + left] = value;
  }
  for (var unit = lane; unit < params.experts * params.parts; unit += 64u) {
    let expert = unit / params.parts;
    var sum = 0.0;
    for (var k = unit % params.parts; k < hidden; k += params.parts) {
      let value = x[tiled_index(token, k, hidden, COLUMNS)] * scale * norm[k];
      sum += value * router[expert * hidden + k];
    }
    dots[unit] = sum;
  }
  workgroupBarrier();
  for (var expert = lane; expert < params.experts; expert += 64u) {
    var sum = 0.0;
    for (var part = 0u; part < params.parts; part++) {
      sum += dots[expert * params.parts + part];
    }
    logits[expert] = sum;
  }
  workgroupBarrier();
  var peak = logits[0];
  for (var expert = 1u; expert < params.experts; expert++) {
    peak = max(peak, logits[expert]);
  }
  // A chosen expert's slot, and its share of the sum that weights are divided by; `dots` is free again.
  for (var expert = lane; expert < params.experts; expert += 64u) {
    var slot = rank_of(expert);
    if (state.forced == 1u) {
      slot = forced_slot(token, expert);
    }
    slots[expert] = slot;
    let counts = params.renormalize == 0u || slot < params.top_k;
    dots[expert] = select(0.0, exp(logits[expert] - peak), counts);
  }
  workgroupBarrier();
  var total = 0.0;
  for (var expert = 0u; expert < params.experts; expert++) {
    total += dots[expert];
  }
  for (var expert = lane; expert < params.experts; expert += 64u) {
    if (slots[expert] < params.top_k) {
      let at = params.first_route + token * params.top_k + slots[expert];
      routes[at] = Route(expert, exp(logits[expert] - peak) / total * params.scale);
    }
  }
}
