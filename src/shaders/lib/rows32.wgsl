// Four rows of a `rows32` matrix times a tile of columns; the block formats are in lib/rows32_blocks.
// Lanes own neighboring rows, so the 16-byte loads of a workgroup are contiguous, as are a chunk's activations.
// Needs from the kernel: codes, scales, input (array<Quad>), params.groups, params.chunks.

// A 16-byte chunk of each of four rows.
struct Chunks {
  a: vec4u,
  b: vec4u,
  c: vec4u,
  d: vec4u,
}

fn chunks_at(at: vec4u) -> Chunks {
  return Chunks(codes[at.x], codes[at.y], codes[at.z], codes[at.w]);
}

fn add_row(sum: Columns, row: vec4f, x: Quad) -> Columns {
  let first = fma(Columns(row.y), x.b, fma(Columns(row.x), x.a, sum));
  return fma(Columns(row.w), x.d, fma(Columns(row.z), x.c, first));
}

// Adds four rows' products with one quad of activations.
fn add_rows(sum: Quad, r0: vec4f, r1: vec4f, r2: vec4f, r3: vec4f, x: Quad) -> Quad {
  return Quad(
    add_row(sum.a, r0, x),
    add_row(sum.b, r1, x),
    add_row(sum.c, r2, x),
    add_row(sum.d, r3, x),
  );
}

// First index of each of the four row groups in a plane with `stride` units a row.
fn group_starts(first_group: u32, lane: u32, stride: u32) -> vec4u {
  let last = vec4u(params.groups - 1u);
  return min(vec4u(first_group) + vec4u(0u, 1u, 2u, 3u), last) * (stride * 32u) + vec4u(lane);
}

fn rows_f16(first_group: u32, lane: u32, first_quad: u32) -> Quad {
  var sum = Quad();
  var at = group_starts(first_group, lane, params.chunks);
  for (var chunk = 0u; chunk < params.chunks; chunk++) {
    let w = chunks_at(at);
    let quad = first_quad + chunk * 2u;
    sum = add_rows(sum, halves(w.a.x, w.a.y), halves(w.b.x, w.b.y), halves(w.c.x, w.c.y),
      halves(w.d.x, w.d.y), input[quad]);
    sum = add_rows(sum, halves(w.a.z, w.a.w), halves(w.b.z, w.b.w), halves(w.c.z, w.c.w),
      halves(w.d.z, w.d.w), input[quad + 1u]);
    at += vec4u(32u);
  }
  return sum;
}

fn rows_f32(first_group: u32, lane: u32, first_quad: u32) -> Quad {
  var sum = Quad();
  var at = group_starts(first_group, lane, params.chunks);
  for (var chunk = 0u; chunk < params.chunks; chunk++) {
    let w = chunks_at(at);
    sum = add_rows(sum, bitcast<vec4f>(w.a), bitcast<vec4f>(w.b), bitcast<vec4f>(w.c),
      bitcast<vec4f>(w.d), input[first_quad + chunk]);
    at += vec4u(32u);
  }
  return sum;
}
