// The body of matmul and its variants: four row groups of a matrix in any format times a column tile.
// Needs from the kernel: params, output (array<Columns>), ACCUMULATE; lib/rows32 and what it needs.

const FORMAT: u32 = 0u; // spec
// Row groups a thread owns one row of: 4, or 8 with q4_1.
const GROUPS: u32 = 4u; // spec

fn store(tile: u32, group: u32, lane: u32, value: Columns) {
  let row = group * 32u + lane;
  if (row < params.rows) {
    let at = tile * params.out_rows + params.out_first + row;
    if (ACCUMULATE) {
      output[at] += value;
    } else {
      output[at] = value;
    }
  }
}

fn store_four(tile: u32, group: u32, lane: u32, sum: Quad) {
  store(tile, group, lane, sum.a);
  store(tile, group + 1u, lane, sum.b);
  store(tile, group + 2u, lane, sum.c);
  store(tile, group + 3u, lane, sum.d);
}

fn row_product(workgroup: vec3u, lane: u32) {
  let group = workgroup.x * GROUPS;
  let tile = workgroup.y;
  let quad = tile * params.quads + select(0u, params.split_quads, group >= params.split_group);
  if (FORMAT == Q4_1 && GROUPS == 8u) {
    let sums = eight_rows_q4_1(group, lane, quad);
    store_four(tile, group, lane, sums[0]);
    store_four(tile, group + 4u, lane, sums[1]);
  } else if (FORMAT == Q4_1) {
    store_four(tile, group, lane, rows_q4_1(group, lane, quad));
  } else if (FORMAT == Q8_0) {
    store_four(tile, group, lane, rows_q8_0(group, lane, quad));
  } else if (FORMAT == F16) {
    store_four(tile, group, lane, rows_f16(group, lane, quad));
  } else {
    store_four(tile, group, lane, rows_f32(group, lane, quad));
  }
}
