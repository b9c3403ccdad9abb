// Messages → prompt, by the model file's own template. Untrusted on both sides: the template is bounded,
// and what a message says can never become a special token.
import { EngineError } from '../errors.ts'
import type { ChatMessage } from '../protocol.ts'
import { renderBounded, TemplateRefusal } from './bounded-template.ts'
import type { Tokenizer } from './tokenizer.ts'
import type { TokenizerData } from './tokenizer-data.ts'

const MAX_TEMPLATE_LENGTH = 64 * 1024
const BASE_LENGTH = 64 * 1024
/** Characters of output allowed for a character of a message, whose role and markup count as 64. */
const GROWTH = 4
const MESSAGE_LENGTH = 64
const TIME_MS = 2000
const ROLES: readonly string[] = ['system', 'user', 'assistant']
/** Private-use characters; one that no message contains keeps special tokens in messages apart. */
const FIRST_SENTINEL = 0xe000
const LAST_SENTINEL = 0xf8ff

/**
 * Checks messages as a page sent them. Throws `bad-request` for a list that is empty, a role that does not
 * exist, content that is no string, or a field that is not supported.
 */
export function checkMessages(messages: unknown): ChatMessage[] {
  if (!Array.isArray(messages) || messages.length === 0) {
    throw badRequest('messages must be a list of at least one message.')
  }
  return messages.map((message: unknown, index) => {
    if (typeof message !== 'object' || message === null) {
      throw badRequest(`Message ${index} must be an object with role and content.`)
    }
    const { role, content, ...rest }: Record<string, unknown> = { ...message }
    if (role !== 'system' && role !== 'user' && role !== 'assistant') {
      throw badRequest(
        `Message ${index} has the role ${JSON.stringify(role)}; roles are ${ROLES.join(', ')}.`,
      )
    }
    if (typeof content !== 'string') throw badRequest(`The content of message ${index} must be a string.`)
    const extra = Object.keys(rest).find((key) => rest[key] !== undefined)
    if (extra !== undefined) throw badRequest(`The field ${extra} of message ${index} is not supported.`)
    return { role, content }
  })
}

/**
 * The prompt for an answer to `messages`, as text. Throws `bad-request` for messages that are wrong or that
 * the template refuses, `model-unsupported` without a template, `model-format` when the template fails.
 */
export async function renderChat(data: TokenizerData, messages: readonly ChatMessage[]): Promise<string> {
  const checked = checkMessages(messages)
  const template = findTemplate(data)
  const jinja = await import('@huggingface/jinja')
  const spelling = (id: number | undefined) => (id === undefined ? '' : (data.tokens[id] ?? ''))
  const values = {
    messages: checked,
    add_generation_prompt: true,
    bos_token: spelling(data.bosId),
    eos_token: spelling(data.eosId),
    unk_token: spelling(data.unknownId),
    pad_token: spelling(data.paddingId),
  }
  const length = checked.reduce((sum, { content }) => sum + content.length + MESSAGE_LENGTH, 0)
  try {
    return renderBounded(jinja, template, values, {
      maxLength: BASE_LENGTH + GROWTH * length,
      timeMs: TIME_MS,
    })
  } catch (error) {
    throw templateError(error)
  }
}

/**
 * The prompt for an answer to `messages`, as token ids: special tokens come from the template alone, those
 * spelled in a message are ordinary text. Throws as `renderChat` does.
 */
export async function encodeChat(
  tokenizer: Tokenizer,
  data: TokenizerData,
  messages: readonly ChatMessage[],
): Promise<number[]> {
  const checked = checkMessages(messages)
  const sentinel = findSentinel([findTemplate(data), ...checked.map(({ content }) => content)])
  const broken = checked.map(({ role, content }) => ({
    role,
    content: tokenizer.controlTokens.breakUp(content, sentinel),
  }))
  const rendered = await renderChat(data, broken)
  return tokenizer.controlTokens
    .split(rendered)
    .flatMap(({ text, id }) => id ?? tokenizer.encode(text.replaceAll(sentinel, ''), { specials: 'plain' }))
}

function findTemplate({ chatTemplate }: TokenizerData): string {
  if (chatTemplate === undefined) {
    throw new EngineError('model-unsupported', 'The model has no chat template.', {
      hint: 'Use completions.create with a prompt in the form that the model was trained on.',
    })
  }
  if (chatTemplate.length > MAX_TEMPLATE_LENGTH) {
    const { length } = chatTemplate
    throw new EngineError(
      'model-format',
      `The chat template has ${length} characters; at most ${MAX_TEMPLATE_LENGTH} are accepted.`,
      { hint: 'Use completions.create with a prompt, or another model.', details: { length } },
    )
  }
  return chatTemplate
}

function findSentinel(texts: readonly string[]): string {
  for (let code = FIRST_SENTINEL; code <= LAST_SENTINEL; code++) {
    const sentinel = String.fromCharCode(code)
    if (texts.every((text) => !text.includes(sentinel))) return sentinel
  }
  throw badRequest('The messages contain every private-use character of Unicode.')
}

function templateError(error: unknown): EngineError {
  const text = (error instanceof Error ? error.message : String(error)).slice(0, 200)
  if (error instanceof TemplateRefusal) return badRequest(`The chat template refuses the messages: ${text}`)
  return new EngineError('model-format', `The chat template of the model failed: ${text}`, {
    hint: 'Use completions.create with a prompt, or another model.',
    cause: error,
  })
}

function badRequest(message: string): EngineError {
  return new EngineError('bad-request', message, {
    hint: 'Send messages of the form { role, content }, with roles in the order the model expects.',
  })
}
