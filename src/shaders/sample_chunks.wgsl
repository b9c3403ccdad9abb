// sample_chunks: per chunk of the vocabulary the four largest penalized logits with their ids, and
// max l, Σ exp(l − max) at temperature 1 (raw logits) and Σ exp((l' − max') / T) (penalized logits l').
// uses: state
// dispatch: (ceil(chunks / 64)); a thread owns a strided chunk: ids chunk, chunk + chunks, …
// barrier-free; ties keep the lower id, for ids rise within a chunk; f32.

struct Params {
  vocabulary: u32,
  chunks: u32,
}

struct Chunk {
  ids: vec4u,
  logits: vec4f,
  // Largest raw logit, Σ exp(l − peak), largest penalized logit, Σ exp((l' − peak') / T).
  sums: vec4f,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> state: State;
@group(0) @binding(2) var<storage, read> logits: array<f32>; // [vocabulary]
@group(0) @binding(3) var<storage, read> seen: array<u32>; // [ceil(vocabulary / 32)] bits
@group(0) @binding(4) var<storage, read_write> chunks: array<Chunk>; // [chunks]

const LOWEST = -3.0e38;

fn penalized(token: u32, raw: f32) -> f32 {
  if (((seen[token / 32u] >> (token % 32u)) & 1u) == 0u) {
    return raw;
  }
  return select(raw * state.repetition_penalty, raw / state.repetition_penalty, raw > 0.0);
}

@compute @workgroup_size(64)
fn sample_chunks(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= params.chunks) {
    return;
  }
  var ids = vec4u(0xffffffffu);
  var best = vec4f(LOWEST);
  var raw_peak = LOWEST;
  for (var token = id.x; token < params.vocabulary; token += params.chunks) {
    let raw = logits[token];
    raw_peak = max(raw_peak, raw);
    let value = penalized(token, raw);
    if (value > best.w) {
      let above = vec4<bool>(value > best.x, value > best.y, value > best.z, true);
      let shifted = vec4f(value, best.xyz);
      let shifted_ids = vec4u(token, ids.xyz);
      // Below the place found first, everything moves down by one.
      best = vec4f(
        select(best.x, value, above.x),
        select(best.y, select(value, shifted.y, above.x), above.y),
        select(best.z, select(value, shifted.z, above.y), above.z),
        select(value, shifted.w, above.z),
      );
      ids = vec4u(
        select(ids.x, token, above.x),
        select(ids.y, select(token, shifted_ids.y, above.x), above.y),
        select(ids.z, select(token, shifted_ids.z, above.y), above.z),
        select(token, shifted_ids.w, above.z),
      );
    }
  }
  var raw_sum = 0.0;
  var sum = 0.0;
  for (var token = id.x; token < params.vocabulary; token += params.chunks) {
    let raw = logits[token];
    raw_sum += exp(raw - raw_peak);
    let value = penalized(token, raw);
    sum += exp((value - best.x) * state.inverse_temperature);
  }
  chunks[id.x] = Chunk(ids, best, vec4f(raw_peak, raw_sum, best.x, sum));
}
