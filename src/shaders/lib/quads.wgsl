// Four neighboring quads of activations, each lane loading all of them.
// Needs from the kernel: input (array<Quad>).

fn four_quads(first: u32) -> array<Quad, 4> {
  return array(input[first], input[first + 1u], input[first + 2u], input[first + 3u]);
}
