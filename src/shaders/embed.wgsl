// embed: x[t, k] = E[token_t, k], rows of the embedding matrix in its stored format.
// uses: state decode tiled
// dispatch: (ceil(hidden / 4 / 64), tokens); a thread writes 4 neighbors along k.
// barrier-free; exact: a number is code · scale (+ minimum), as stored.

struct Params {
  // Numbers and 16-byte chunks a row.
  hidden: u32,
  chunks: u32,
  vocabulary: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> state: State;
@group(0) @binding(2) var<storage, read> codes: array<vec4u>; // [groups, chunks, 32]
@group(0) @binding(3) var<storage, read> scales: array<u32>; // [groups, blocks, 32]
@group(0) @binding(4) var<storage, read_write> x: array<f32>; // tiled [tokens, hidden]

override COLUMNS: u32 = 1u;
const FORMAT: u32 = 0u; // spec

fn embedding_quad(row: u32, quad: u32) -> vec4f {
  let group = row / 32u;
  let lane = row % 32u;
  let start = group * params.chunks;
  if (FORMAT == Q4_1) {
    let at = (start + quad / 8u) * 32u + lane;
    let scale = unpack2x16float(scales[at]);
    let word = codes[at][quad % 4u];
    let shift = select(0u, 4u, quad % 8u >= 4u);
    return scale.x * low_nibbles(word >> shift) + scale.y;
  }
  if (FORMAT == Q8_0) {
    let block = quad / 8u;
    let pairs = (params.chunks + 3u) / 4u;
    let word = scales[(group * pairs + block / 2u) * 32u + lane];
    let scale = unpack2x16float(word >> ((block & 1u) * 16u)).x;
    return scale * signed_bytes(codes[(start + quad / 4u) * 32u + lane][quad % 4u]);
  }
  if (FORMAT == F16) {
    let chunk = codes[(start + quad / 2u) * 32u + lane];
    let first = (quad % 2u) * 2u;
    return halves(chunk[first], chunk[first + 1u]);
  }
  return bitcast<vec4f>(codes[(start + quad) * 32u + lane]);
}

@compute @workgroup_size(64)
fn embed(@builtin(global_invocation_id) id: vec3u) {
  let quad = id.x;
  let token = id.y;
  if (quad * 4u >= params.hidden) {
    return;
  }
  let row = min(state.tokens[token / 4u][token % 4u], params.vocabulary - 1u);
  let value = embedding_quad(row, quad);
  for (var i = 0u; i < 4u; i++) {
    x[tiled_index(token, quad * 4u + i, params.hidden, COLUMNS)] = value[i];
  }
}
