// Numbers of the stored formats, four at a time, without scales. Layout `rows32`: docs/file-format.md.

const Q4_1 = 0u;
const Q8_0 = 1u;
const F16 = 2u;
const F32 = 3u;

// The low nibbles of four bytes.
fn low_nibbles(word: u32) -> vec4f {
  return vec4f(unpack4xU8(word & 0x0f0f0f0fu));
}

fn high_nibbles(word: u32) -> vec4f {
  return vec4f(unpack4xU8((word >> 4u) & 0x0f0f0f0fu));
}

fn signed_bytes(word: u32) -> vec4f {
  return vec4f(unpack4xI8(word));
}

fn halves(first: u32, second: u32) -> vec4f {
  return vec4f(unpack2x16float(first), unpack2x16float(second));
}
