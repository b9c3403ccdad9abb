// Numbers of the stored formats, four at a time, without scales. Layout `rows32`: docs/file-format.md.
// Codes become floats where they lie in the word, and a power of two brings them down: exact, and without
// the shifts by different amounts and the unsigned conversions that some devices do one lane at a time.

const Q4_1 = 0u;
const Q8_0 = 1u;
const F16 = 2u;
const F32 = 3u;

// The low nibbles of four bytes.
fn low_nibbles(word: u32) -> vec4f {
  let codes_in_place = vec4i(vec4u(word) & vec4u(0xfu, 0xf00u, 0xf0000u, 0xf000000u));
  return vec4f(codes_in_place) * vec4f(0x1p0, 0x1p-8, 0x1p-16, 0x1p-24);
}

// The top bit is flipped to keep the conversion signed: the last nibble arrives as itself minus 8.
fn high_nibbles(word: u32) -> vec4f {
  let flipped = word ^ 0x80000000u;
  let codes_in_place = vec4i(vec4u(flipped) & vec4u(0xf0u, 0xf000u, 0xf00000u, 0xf0000000u));
  let steps = vec4f(0x1p-4, 0x1p-12, 0x1p-20, 0x1p-28);
  return fma(vec4f(codes_in_place), steps, vec4f(0.0, 0.0, 0.0, 8.0));
}

// The sign bits of the first three bytes are flipped: they arrive as themselves plus 128.
fn signed_bytes(word: u32) -> vec4f {
  let flipped = word ^ 0x00808080u;
  let codes_in_place = vec4i(vec4u(flipped) & vec4u(0xffu, 0xff00u, 0xff0000u, 0xff000000u));
  let steps = vec4f(0x1p0, 0x1p-8, 0x1p-16, 0x1p-24);
  return fma(vec4f(codes_in_place), steps, vec4f(-128.0, -128.0, -128.0, 0.0));
}

fn halves(first: u32, second: u32) -> vec4f {
  return vec4f(unpack2x16float(first), unpack2x16float(second));
}
