// The right sweep of an MPO: four neighbors along i_c of Σ_{d_r} R[i_r, d_r] · V[i_c, d_r].
// Needs from the kernel: auxiliaries, v (tiled by COLUMNS), params.center.

fn v_quad(at: vec4u) -> vec4f {
  return vec4f(v[at.x], v[at.y], v[at.z], v[at.w]);
}

fn right_quad(words: u32, bond: u32, base: u32, first_center: u32) -> vec4f {
  let last = params.center - 1u;
  let centers = min(vec4u(first_center) + vec4u(0u, 1u, 2u, 3u), vec4u(last));
  var at = vec4u(base) + centers * (bond * COLUMNS);
  let step = vec4u(COLUMNS);
  var sum = vec4f(0.0);
  for (var word = 0u; word < bond / 8u; word++) {
    let packed = auxiliaries[words + word];
    let low = halves(packed.x, packed.y);
    let high = halves(packed.z, packed.w);
    sum += low.x * v_quad(at) + low.y * v_quad(at + step);
    at += 2u * step;
    sum += low.z * v_quad(at) + low.w * v_quad(at + step);
    at += 2u * step;
    sum += high.x * v_quad(at) + high.y * v_quad(at + step);
    at += 2u * step;
    sum += high.z * v_quad(at) + high.w * v_quad(at + step);
    at += 2u * step;
  }
  // The rest of a row whose bond is no multiple of 8, without a look at the next i_c.
  for (var rest = 0u; rest < bond % 8u; rest++) {
    let pair = auxiliaries[words + bond / 8u][rest / 2u];
    sum += unpack2x16float(pair)[rest % 2u] * v_quad(at);
    at += step;
  }
  return sum;
}
