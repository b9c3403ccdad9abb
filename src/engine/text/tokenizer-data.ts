// What a model file says about its text: vocabulary, merges, special tokens, chat template. A leaf.

/** Tokenizer metadata as read from GGUF keys; stored as one JSON record. */
export interface TokenizerData {
  /** `tokenizer.ggml.model`, e.g. `gpt2`. */
  model: string
  /** `tokenizer.ggml.pre`, e.g. `smollm`. */
  pre: string
  tokens: string[]
  /** GGUF token types: 1 normal, 2 unknown, 3 control, 4 user defined, 5 unused, 6 byte. */
  types: number[]
  merges: string[]
  bosId?: number | undefined
  eosId?: number | undefined
  unknownId?: number | undefined
  paddingId?: number | undefined
  addBos: boolean
  addSpacePrefix: boolean
  chatTemplate?: string | undefined
}
