// Rows of the block formats: products with a block's codes first, then the block's scale.
// Needs what lib/rows32 needs, and four_quads of lib/quads or lib/quads_subgroups.

fn add_low(sum: Quad, w: Chunks, x: array<Quad, 4>) -> Quad {
  var part = sum;
  part = add_rows(part, low_nibbles(w.a.x), low_nibbles(w.b.x), low_nibbles(w.c.x),
    low_nibbles(w.d.x), x[0]);
  part = add_rows(part, low_nibbles(w.a.y), low_nibbles(w.b.y), low_nibbles(w.c.y),
    low_nibbles(w.d.y), x[1]);
  part = add_rows(part, low_nibbles(w.a.z), low_nibbles(w.b.z), low_nibbles(w.c.z),
    low_nibbles(w.d.z), x[2]);
  part = add_rows(part, low_nibbles(w.a.w), low_nibbles(w.b.w), low_nibbles(w.c.w),
    low_nibbles(w.d.w), x[3]);
  return part;
}

fn add_high(sum: Quad, w: Chunks, x: array<Quad, 4>) -> Quad {
  var part = sum;
  part = add_rows(part, high_nibbles(w.a.x), high_nibbles(w.b.x), high_nibbles(w.c.x),
    high_nibbles(w.d.x), x[0]);
  part = add_rows(part, high_nibbles(w.a.y), high_nibbles(w.b.y), high_nibbles(w.c.y),
    high_nibbles(w.d.y), x[1]);
  part = add_rows(part, high_nibbles(w.a.z), high_nibbles(w.b.z), high_nibbles(w.c.z),
    high_nibbles(w.d.z), x[2]);
  part = add_rows(part, high_nibbles(w.a.w), high_nibbles(w.b.w), high_nibbles(w.c.w),
    high_nibbles(w.d.w), x[3]);
  return part;
}

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

// Adds four rows' block: scale · products + minimum · total, both halves of the row's word.
fn add_block(sum: Quad, at: vec4u, part: Quad, total: Columns) -> Quad {
  let s0 = unpack2x16float(scales[at.x]);
  let s1 = unpack2x16float(scales[at.y]);
  let s2 = unpack2x16float(scales[at.z]);
  let s3 = unpack2x16float(scales[at.w]);
  return Quad(
    sum.a + (s0.x * part.a + s0.y * total),
    sum.b + (s1.x * part.b + s1.y * total),
    sum.c + (s2.x * part.c + s2.y * total),
    sum.d + (s3.x * part.d + s3.y * total),
  );
}

fn rows_q4_1(first_group: u32, lane: u32, first_quad: u32) -> Quad {
  var sum = Quad();
  var at = group_starts(first_group, lane, params.chunks);
  var quad = first_quad;
  for (var chunk = 0u; chunk < params.chunks; chunk++) {
    let w = chunks_at(at);
    var x = four_quads(quad);
    var total = four_totals(x);
    var part = add_low(Quad(), w, x);
    x = four_quads(quad + 4u);
    total += four_totals(x);
    part = add_high(part, w, x);
    sum = add_block(sum, at, part, total);
    at += vec4u(32u);
    quad += 8u;
  }
  return sum;
}

// The same for two times four rows, which share the activations.
fn eight_rows_q4_1(first_group: u32, lane: u32, first_quad: u32) -> array<Quad, 2> {
  var sum0 = Quad();
  var sum1 = Quad();
  var at0 = group_starts(first_group, lane, params.chunks);
  var at1 = group_starts(first_group + 4u, lane, params.chunks);
  var quad = first_quad;
  for (var chunk = 0u; chunk < params.chunks; chunk++) {
    let w0 = chunks_at(at0);
    let w1 = chunks_at(at1);
    var x = four_quads(quad);
    var total = four_totals(x);
    var part0 = add_low(Quad(), w0, x);
    var part1 = add_low(Quad(), w1, x);
    x = four_quads(quad + 4u);
    total += four_totals(x);
    part0 = add_high(part0, w0, x);
    part1 = add_high(part1, w1, x);
    sum0 = add_block(sum0, at0, part0, total);
    sum1 = add_block(sum1, at1, part1, total);
    at0 += vec4u(32u);
    at1 += vec4u(32u);
    quad += 8u;
  }
  return array(sum0, sum1);
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
