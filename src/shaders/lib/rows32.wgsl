// Four rows of a `rows32` matrix times a tile of columns, one function a format. Lanes own neighboring
// rows, so the 16-byte loads of a workgroup are contiguous; a chunk feeds contiguous activations.
// Needs from the kernel: codes, scales, input (array<Quad>), params.groups, params.chunks.

// Adds four rows' products with one quad of activations.
fn add_rows(sum: Quad, r0: vec4f, r1: vec4f, r2: vec4f, r3: vec4f, x: Quad) -> Quad {
  return Quad(
    sum.a + r0.x * x.a + r0.y * x.b + r0.z * x.c + r0.w * x.d,
    sum.b + r1.x * x.a + r1.y * x.b + r1.z * x.c + r1.w * x.d,
    sum.c + r2.x * x.a + r2.y * x.b + r2.z * x.c + r2.w * x.d,
    sum.d + r3.x * x.a + r3.y * x.b + r3.z * x.c + r3.w * x.d,
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
    let w0 = codes[at.x];
    let w1 = codes[at.y];
    let w2 = codes[at.z];
    let w3 = codes[at.w];
    let s0 = unpack2x16float(scales[at.x]);
    let s1 = unpack2x16float(scales[at.y]);
    let s2 = unpack2x16float(scales[at.z]);
    let s3 = unpack2x16float(scales[at.w]);
    var part = Quad();
    var total = Columns();
    for (var half = 0u; half < 2u; half++) {
      let shift = half * 4u;
      let v0 = w0 >> vec4u(shift);
      let v1 = w1 >> vec4u(shift);
      let v2 = w2 >> vec4u(shift);
      let v3 = w3 >> vec4u(shift);
      var x = input[quad];
      total += quad_total(x);
      part = add_rows(part, low_nibbles(v0.x), low_nibbles(v1.x), low_nibbles(v2.x), low_nibbles(v3.x), x);
      x = input[quad + 1u];
      total += quad_total(x);
      part = add_rows(part, low_nibbles(v0.y), low_nibbles(v1.y), low_nibbles(v2.y), low_nibbles(v3.y), x);
      x = input[quad + 2u];
      total += quad_total(x);
      part = add_rows(part, low_nibbles(v0.z), low_nibbles(v1.z), low_nibbles(v2.z), low_nibbles(v3.z), x);
      x = input[quad + 3u];
      total += quad_total(x);
      part = add_rows(part, low_nibbles(v0.w), low_nibbles(v1.w), low_nibbles(v2.w), low_nibbles(v3.w), x);
      quad += 4u;
    }
    sum.a += s0.x * part.a + s0.y * total;
    sum.b += s1.x * part.b + s1.y * total;
    sum.c += s2.x * part.c + s2.y * total;
    sum.d += s3.x * part.d + s3.y * total;
    at += vec4u(32u);
  }
  return sum;
}

fn rows_q8_0(first_group: u32, lane: u32, first_quad: u32) -> Quad {
  var sum = Quad();
  var at = group_starts(first_group, lane, params.chunks);
  let pairs = (params.chunks + 3u) / 4u;
  let scale_at = group_starts(first_group, lane, pairs);
  var quad = first_quad;
  for (var block = 0u; block < params.chunks / 2u; block++) {
    var part = Quad();
    for (var half = 0u; half < 2u; half++) {
      let w0 = codes[at.x];
      let w1 = codes[at.y];
      let w2 = codes[at.z];
      let w3 = codes[at.w];
      part = add_rows(part, signed_bytes(w0.x), signed_bytes(w1.x), signed_bytes(w2.x),
        signed_bytes(w3.x), input[quad]);
      part = add_rows(part, signed_bytes(w0.y), signed_bytes(w1.y), signed_bytes(w2.y),
        signed_bytes(w3.y), input[quad + 1u]);
      part = add_rows(part, signed_bytes(w0.z), signed_bytes(w1.z), signed_bytes(w2.z),
        signed_bytes(w3.z), input[quad + 2u]);
      part = add_rows(part, signed_bytes(w0.w), signed_bytes(w1.w), signed_bytes(w2.w),
        signed_bytes(w3.w), input[quad + 3u]);
      at += vec4u(32u);
      quad += 4u;
    }
    // An even block's scale is the low half of its word.
    let shift = (block & 1u) * 16u;
    let pair = (block / 2u) * 32u;
    sum.a += unpack2x16float(scales[scale_at.x + pair] >> shift).x * part.a;
    sum.b += unpack2x16float(scales[scale_at.y + pair] >> shift).x * part.b;
    sum.c += unpack2x16float(scales[scale_at.z + pair] >> shift).x * part.c;
    sum.d += unpack2x16float(scales[scale_at.w + pair] >> shift).x * part.d;
  }
  return sum;
}

fn rows_f16(first_group: u32, lane: u32, first_quad: u32) -> Quad {
  var sum = Quad();
  var at = group_starts(first_group, lane, params.chunks);
  for (var chunk = 0u; chunk < params.chunks; chunk++) {
    let w0 = codes[at.x];
    let w1 = codes[at.y];
    let w2 = codes[at.z];
    let w3 = codes[at.w];
    let quad = first_quad + chunk * 2u;
    sum = add_rows(sum, halves(w0.x, w0.y), halves(w1.x, w1.y), halves(w2.x, w2.y),
      halves(w3.x, w3.y), input[quad]);
    sum = add_rows(sum, halves(w0.z, w0.w), halves(w1.z, w1.w), halves(w2.z, w2.w),
      halves(w3.z, w3.w), input[quad + 1u]);
    at += vec4u(32u);
  }
  return sum;
}

fn rows_f32(first_group: u32, lane: u32, first_quad: u32) -> Quad {
  var sum = Quad();
  var at = group_starts(first_group, lane, params.chunks);
  for (var chunk = 0u; chunk < params.chunks; chunk++) {
    sum = add_rows(sum, bitcast<vec4f>(codes[at.x]), bitcast<vec4f>(codes[at.y]),
      bitcast<vec4f>(codes[at.z]), bitcast<vec4f>(codes[at.w]), input[first_quad + chunk]);
    at += vec4u(32u);
  }
  return sum;
}
