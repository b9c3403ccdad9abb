// Four rows of a `rows32` matrix times a tile of columns, one function a format. Lanes own neighboring
// rows, so the 16-byte loads of a workgroup are contiguous; a chunk feeds contiguous activations.
// Needs from the kernel: codes, scales, input (array<Quad>), params.groups, params.chunks; four_quads.

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

fn rows_q4_1(first_group: u32, lane: u32, first_quad: u32) -> Quad {
  var sum = Quad();
  var at = group_starts(first_group, lane, params.chunks);
  var quad = first_quad;
  for (var chunk = 0u; chunk < params.chunks; chunk++) {
    let w = chunks_at(at);
    let s0 = unpack2x16float(scales[at.x]);
    let s1 = unpack2x16float(scales[at.y]);
    let s2 = unpack2x16float(scales[at.z]);
    let s3 = unpack2x16float(scales[at.w]);
    var part = Quad();
    var x = four_quads(quad);
    var total = four_totals(x);
    part = add_rows(part, low_nibbles(w.a.x), low_nibbles(w.b.x), low_nibbles(w.c.x),
      low_nibbles(w.d.x), x[0]);
    part = add_rows(part, low_nibbles(w.a.y), low_nibbles(w.b.y), low_nibbles(w.c.y),
      low_nibbles(w.d.y), x[1]);
    part = add_rows(part, low_nibbles(w.a.z), low_nibbles(w.b.z), low_nibbles(w.c.z),
      low_nibbles(w.d.z), x[2]);
    part = add_rows(part, low_nibbles(w.a.w), low_nibbles(w.b.w), low_nibbles(w.c.w),
      low_nibbles(w.d.w), x[3]);
    x = four_quads(quad + 4u);
    total += four_totals(x);
    part = add_rows(part, high_nibbles(w.a.x), high_nibbles(w.b.x), high_nibbles(w.c.x),
      high_nibbles(w.d.x), x[0]);
    part = add_rows(part, high_nibbles(w.a.y), high_nibbles(w.b.y), high_nibbles(w.c.y),
      high_nibbles(w.d.y), x[1]);
    part = add_rows(part, high_nibbles(w.a.z), high_nibbles(w.b.z), high_nibbles(w.c.z),
      high_nibbles(w.d.z), x[2]);
    part = add_rows(part, high_nibbles(w.a.w), high_nibbles(w.b.w), high_nibbles(w.c.w),
      high_nibbles(w.d.w), x[3]);
    sum.a += s0.x * part.a + s0.y * total;
    sum.b += s1.x * part.b + s1.y * total;
    sum.c += s2.x * part.c + s2.y * total;
    sum.d += s3.x * part.d + s3.y * total;
    at += vec4u(32u);
    quad += 8u;
  }
  return sum;
}

// Half a block of each of four rows.
fn add_bytes(sum: Quad, w: Chunks, x: array<Quad, 4>) -> Quad {
  var part = sum;
  part = add_rows(part, signed_bytes(w.a.x), signed_bytes(w.b.x), signed_bytes(w.c.x),
    signed_bytes(w.d.x), x[0]);
  part = add_rows(part, signed_bytes(w.a.y), signed_bytes(w.b.y), signed_bytes(w.c.y),
    signed_bytes(w.d.y), x[1]);
  part = add_rows(part, signed_bytes(w.a.z), signed_bytes(w.b.z), signed_bytes(w.c.z),
    signed_bytes(w.d.z), x[2]);
  part = add_rows(part, signed_bytes(w.a.w), signed_bytes(w.b.w), signed_bytes(w.c.w),
    signed_bytes(w.d.w), x[3]);
  return part;
}

// An even block's scale is the low half of its word.
fn scale_q8_0(word: u32, is_odd: bool) -> f32 {
  let both = unpack2x16float(scales[word]);
  return select(both.x, both.y, is_odd);
}

fn rows_q8_0(first_group: u32, lane: u32, first_quad: u32) -> Quad {
  var sum = Quad();
  var at = group_starts(first_group, lane, params.chunks);
  let first_scale = group_starts(first_group, lane, (params.chunks + 3u) / 4u);
  var quad = first_quad;
  for (var block = 0u; block < params.chunks / 2u; block++) {
    var part = add_bytes(Quad(), chunks_at(at), four_quads(quad));
    part = add_bytes(part, chunks_at(at + vec4u(32u)), four_quads(quad + 4u));
    let word = first_scale + vec4u((block / 2u) * 32u);
    let is_odd = (block & 1u) == 1u;
    sum.a += scale_q8_0(word.x, is_odd) * part.a;
    sum.b += scale_q8_0(word.y, is_odd) * part.b;
    sum.c += scale_q8_0(word.z, is_odd) * part.c;
    sum.d += scale_q8_0(word.w, is_odd) * part.d;
    at += vec4u(64u);
    quad += 8u;
  }
  return sum;
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
