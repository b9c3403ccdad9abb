// What a step gives back, and how its bytes are read. Pure.

/** What a step gives back. */
export interface StepResult {
  /** Expert ids [layers, tokens, topK], by falling weight. */
  experts: Uint16Array
  /** Weights [layers, tokens, topK]. */
  weights: Float32Array
  /** Records of sample_chunks.wgsl, when logits were asked for. */
  chunks: ArrayBuffer | undefined
  /** Logits [tokens, vocabulary], when scoring. */
  logits: Float32Array | undefined
}

/** Layers of (expert u32, weight f32) pairs → two columns. */
export function unpackRoutes(
  layers: readonly ArrayBuffer[],
  entries: number,
): Pick<StepResult, 'experts' | 'weights'> {
  const experts = new Uint16Array(layers.length * entries)
  const weights = new Float32Array(layers.length * entries)
  for (const [layer, bytes] of layers.entries()) {
    const ids = new Uint32Array(bytes)
    const values = new Float32Array(bytes)
    for (let entry = 0; entry < entries; entry++) {
      experts[layer * entries + entry] = ids[entry * 2] as number
      weights[layer * entries + entry] = values[entry * 2 + 1] as number
    }
  }
  return { experts, weights }
}

/** Tiles of four columns → [tokens, vocabulary]. */
export function untile(bytes: ArrayBuffer, tokens: number, vocabulary: number): Float32Array {
  const tiled = new Float32Array(bytes)
  const rows = new Float32Array(tokens * vocabulary)
  for (let token = 0; token < tokens; token++) {
    const start = Math.floor(token / 4) * vocabulary * 4 + (token % 4)
    for (let id = 0; id < vocabulary; id++) rows[token * vocabulary + id] = tiled[start + id * 4] as number
  }
  return rows
}
