// Index of element k of a column in a tiled buffer, memory order [column / C][k][column % C].

fn tiled_index(column: u32, k: u32, length: u32, columns: u32) -> u32 {
  return ((column / columns) * length + k) * columns + column % columns;
}
