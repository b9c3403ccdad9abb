// One chosen expert of one token, as route_topk writes it.

struct Route {
  expert: u32,
  weight: f32,
}
