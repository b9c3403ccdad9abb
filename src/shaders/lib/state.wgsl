// What changes from step to step; written once a step by the queue, read by every kernel.

struct State {
  // Context position of the first token of this step.
  position: u32,
  // Tokens of this step.
  count: u32,
  // Token of this step whose logits are wanted.
  logits_token: u32,
  // 1: the experts come from `forced`, a test hook.
  forced: u32,
  inverse_temperature: f32,
  repetition_penalty: f32,
  _pad0: u32,
  _pad1: u32,
  tokens: array<vec4u, 32>,
}
