// Four neighboring quads of activations: a lane loads one of them and the first four lanes of the subgroup
// tell theirs to the others. A subgroup has at least four lanes; call it where control flow is uniform.
// Needs from the kernel: input (array<Quad>), own_quad set to the subgroup's lane modulo 4.

var<private> own_quad: u32;

fn four_quads(first: u32) -> array<Quad, 4> {
  let own = input[first + own_quad];
  return array(
    Quad(
      subgroupBroadcast(own.a, 0u),
      subgroupBroadcast(own.b, 0u),
      subgroupBroadcast(own.c, 0u),
      subgroupBroadcast(own.d, 0u),
    ),
    Quad(
      subgroupBroadcast(own.a, 1u),
      subgroupBroadcast(own.b, 1u),
      subgroupBroadcast(own.c, 1u),
      subgroupBroadcast(own.d, 1u),
    ),
    Quad(
      subgroupBroadcast(own.a, 2u),
      subgroupBroadcast(own.b, 2u),
      subgroupBroadcast(own.c, 2u),
      subgroupBroadcast(own.d, 2u),
    ),
    Quad(
      subgroupBroadcast(own.a, 3u),
      subgroupBroadcast(own.b, 3u),
      subgroupBroadcast(own.c, 3u),
      subgroupBroadcast(own.d, 3u),
    ),
  );
}
