// Column tiles: C = 1, 2 or 4 vectors side by side, element k of all of them together, so that one
// decoded weight meets C activations. Memory order of a tiled buffer: [column / C][k][column % C].

alias Columns = f32; // spec

// Four neighbors along k of a tile of columns; also the sums of four rows.
struct Quad {
  a: Columns,
  b: Columns,
  c: Columns,
  d: Columns,
}

fn quad_total(x: Quad) -> Columns {
  return (x.a + x.b) + (x.c + x.d);
}

fn four_totals(x: array<Quad, 4>) -> Columns {
  return (quad_total(x[0]) + quad_total(x[1])) + (quad_total(x[2]) + quad_total(x[3]));
}
