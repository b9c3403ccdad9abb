// The right sweep of an MPO: Σ_{d_r} R[i_r, d_r] · V[i_c, d_r] for four i_r, 16 apart, and four i_c.
// Needs from the kernel: params (center, right, v_rows), auxiliaries, v, COLUMNS.

// Where a pair's column begins in V, tiled by COLUMNS.
fn column_start(pair: u32) -> u32 {
  return (pair / COLUMNS) * params.v_rows * COLUMNS + pair % COLUMNS;
}

// First words of four rows of an expert's R; rows past the end repeat the last.
fn row_starts(offset: u32, expert: u32, rows: vec4u, row_words: u32) -> vec4u {
  let known = min(rows, vec4u(params.right - 1u));
  return vec4u(offset) + (vec4u(expert * params.right) + known) * row_words;
}

fn v_quad(at: vec4u) -> vec4f {
  return vec4f(v[at.x], v[at.y], v[at.z], v[at.w]);
}

// Four neighbors along d_r, each of four i_c.
fn v_block(at: vec4u) -> mat4x4f {
  let step = vec4u(COLUMNS);
  return mat4x4f(v_quad(at), v_quad(at + step), v_quad(at + 2u * step), v_quad(at + 3u * step));
}

fn word_product(at: u32, low: mat4x4f, high: mat4x4f) -> vec4f {
  let packed = auxiliaries[at];
  return low * halves(packed.x, packed.y) + high * halves(packed.z, packed.w);
}

fn half_at(word: u32, index: u32) -> f32 {
  return unpack2x16float(auxiliaries[word][index / 2u])[index % 2u];
}

// Column r of the result: row r's four values of i_c.
fn right_rows(first_words: vec4u, bond: u32, base: u32, first_center: u32) -> mat4x4f {
  var words = first_words;
  let centers = min(vec4u(first_center) + vec4u(0u, 1u, 2u, 3u), vec4u(params.center - 1u));
  var at = vec4u(base) + centers * (bond * COLUMNS);
  var sum = mat4x4f();
  for (var word = 0u; word < bond / 8u; word++) {
    let low = v_block(at);
    let high = v_block(at + vec4u(4u * COLUMNS));
    at += vec4u(8u * COLUMNS);
    sum[0] += word_product(words.x, low, high);
    sum[1] += word_product(words.y, low, high);
    sum[2] += word_product(words.z, low, high);
    sum[3] += word_product(words.w, low, high);
    words += vec4u(1u);
  }
  // The rest of a row whose bond is no multiple of 8, without a look at the next i_c.
  for (var rest = 0u; rest < bond % 8u; rest++) {
    let values = v_quad(at);
    at += vec4u(COLUMNS);
    sum[0] += half_at(words.x, rest) * values;
    sum[1] += half_at(words.y, rest) * values;
    sum[2] += half_at(words.z, rest) * values;
    sum[3] += half_at(words.w, rest) * values;
  }
  return sum;
}
