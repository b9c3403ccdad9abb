// From a request to token ids, and how much of them the cache already holds.
import { EngineError } from './errors.ts'
import type { TextRequest } from './generation.ts'
import type { OpenModel } from './open-model.ts'
import { encodeChat } from './text/chat-template.ts'

/**
 * The prompt's token ids: raw text, or messages through the model's template.
 * @throws EngineError `bad-request` when it is empty or does not fit the context
 */
export async function encodePrompt(
  request: TextRequest,
  { tokenizer, tokenizerData, manifest, runner }: OpenModel,
): Promise<number[]> {
  const { input } = request
  const ids =
    input.kind === 'chat'
      ? await encodeChat(tokenizer, tokenizerData, input.messages)
      : tokenizer.encode(input.prompt, { specials: 'parse' })
  const { contextTokens } = runner.network.state
  if (ids.length === 0) {
    throw new EngineError('bad-request', 'The prompt holds no token.', { hint: 'Send some text.' })
  }
  if (ids.length > contextTokens) {
    throw new EngineError(
      'bad-request',
      `The prompt has ${ids.length} tokens; the context holds ${contextTokens}.`,
      {
        hint: `Shorten the prompt, or load with a longer context (${manifest.name} allows ${manifest.blueprint.contextTokens}).`,
        details: { promptTokens: ids.length, contextTokens },
      },
    )
  }
  return ids
}

/** Tokens at the start that both share, but never all of `prompt`: its last token must be read for logits. */
export function commonPrefix(cache: readonly number[], prompt: readonly number[]): number {
  let length = 0
  while (length < prompt.length - 1 && length < cache.length && cache[length] === prompt[length]) length++
  return length
}
