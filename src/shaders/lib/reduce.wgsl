// Sum over the 64 lanes of a workgroup in a fixed order. Call in uniform control flow.

var<workgroup> partials: array<f32, 64>;

fn workgroup_sum(lane: u32, value: f32) -> f32 {
  partials[lane] = value;
  workgroupBarrier();
  var total = 0.0;
  for (var i = 0u; i < 64u; i++) {
    total += partials[i];
  }
  return total;
}
