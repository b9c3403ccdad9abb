import { describe, expect, test } from 'vitest'
import type { ChatMessage } from '../protocol.ts'
import { checkMessages, renderChat } from './chat-template.ts'
import type { TokenizerData } from './tokenizer-data.ts'

const HELLO: ChatMessage[] = [{ role: 'user', content: 'Hello' }]

function withTemplate(chatTemplate?: string): TokenizerData {
  return {
    model: 'gpt2',
    pre: 'smollm',
    tokens: ['<s>', '</s>'],
    types: [3, 3],
    merges: [],
    bosId: 0,
    eosId: 1,
    addBos: false,
    addSpacePrefix: false,
    chatTemplate,
  }
}

describe('renderChat', () => {
  test('gives the template messages, special tokens and the generation prompt', async () => {
    const template =
      '{{ bos_token }}{% for m in messages %}[{{ m.role }}] {{ m.content | trim }}{{ eos_token }}\n{% endfor %}' +
      '{% if add_generation_prompt %}[assistant]{% endif %}{{ unk_token }}'
    const messages: ChatMessage[] = [{ role: 'system', content: ' Be brief. ' }, ...HELLO]
    const expected = '<s>[system] Be brief.</s>\n[user] Hello</s>\n[assistant]'
    expect(await renderChat(withTemplate(template), messages)).toBe(expected)
  })

  test('supports macros, namespaces, ranges and filters', async () => {
    const template =
      '{% macro tag(x) %}<{{ x }}>{% endmacro %}{% set ns = namespace(n=0) %}{% for i in range(1, 7, 2) %}' +
      "{% set ns.n = ns.n + i %}{% endfor %}{{ tag(ns.n) }}{{ messages | map(attribute='role') | join('+') }}"
    expect(await renderChat(withTemplate(template), HELLO)).toBe('<9>user')
  })

  test('turns the refusal of a template into a bad request', async () => {
    const template = "{{ raise_exception('Roles must alternate') }}"
    await expect(renderChat(withTemplate(template), HELLO)).rejects.toMatchObject({
      code: 'bad-request',
      message: 'The chat template refuses the messages: Roles must alternate',
    })
  })

  test('says that a model has no template', async () => {
    await expect(renderChat(withTemplate(), HELLO)).rejects.toMatchObject({ code: 'model-unsupported' })
  })

  const doubling = (seed: string, step: string) =>
    `{% set a = ${seed} %}${`{% set a = ${step} %}`.repeat(60)}{{ a }}`

  test.each([
    ['does not parse', '{% for %}'],
    ['has a filter that does not exist', '{{ messages | explode }}'],
    ['is too long', ' '.repeat(65537)],
    ['counts to a billion', '{% for i in range(1000000000) %}x{% endfor %}'],
    ['counts without end', '{% for i in range(0, 10, 0) %}x{% endfor %}'],
    ['nests loops', `${'{% for i in range(60000) %}'.repeat(8)}{% set x = 1 %}${'{% endfor %}'.repeat(8)}`],
    ['writes too much', '{% for i in range(60000) %}{{ messages }}{% endfor %}'],
    ['doubles a string', doubling("'aa'", 'a ~ a')],
    ['doubles a list', doubling('[1]', 'a + a')],
    ['nests lists', doubling('[1]', '[a, a]')],
    ['nests maps', doubling('{}', "{'x': a, 'y': a}")],
    ['nests namespaces', doubling('namespace(x=1)', 'namespace(x=a, y=a)')],
    ['hides namespaces in lists', doubling('namespace(x=1)', 'namespace(x=[a, a])')],
    ['calls itself', '{% macro f(x) %}{{ f(x) }}{{ f(x) }}{% endmacro %}{{ f(1) }}'],
    ['indents by a billion', "{{ 'a\nb' | indent(2000000000) }}"],
    ['nests deeply', `{{ ${'('.repeat(30000)}`],
  ])(
    'ends with model-format when a template %s',
    async (_, template) => {
      const start = performance.now()
      await expect(renderChat(withTemplate(template), HELLO)).rejects.toMatchObject({
        code: 'model-format',
        hint: expect.stringMatching(/./),
      })
      expect(performance.now() - start).toBeLessThan(10_000)
    },
    30_000,
  )

  test.each([
    'constructor',
    '__proto__',
    'toString.constructor',
    "['constructor']",
    'globalThis',
    'process',
    'self',
  ])('shows nothing of the host through %s', async (name) => {
    const path = name.startsWith('[') ? name : `.${name}`
    const template = `[{{ messages${path} }}${/^\w+$/.test(name) ? `{{ ${name} }}` : ''}]`
    const shown = await renderChat(withTemplate(template), HELLO).catch((error: unknown) => error)
    if (typeof shown === 'string') expect(shown).toBe('[]')
    else expect(shown).toMatchObject({ code: 'model-format' })
  })

  test('lets a long conversation through', async () => {
    const template =
      "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ messages[0]['content'] ~ m.content }}\n{% endfor %}"
    const messages = Array.from({ length: 2000 }, (_, k): ChatMessage => ({ role: 'user', content: `${k}` }))
    expect((await renderChat(withTemplate(template), messages)).length).toBeGreaterThan(40000)
  })
})

describe('checkMessages', () => {
  test('keeps role and content', () => {
    expect(checkMessages([{ role: 'user', content: 'x', name: undefined }])).toEqual([
      { role: 'user', content: 'x' },
    ])
  })

  test.each([
    [undefined, 'at least one'],
    [[], 'at least one'],
    [[null], 'Message 0 must be an object'],
    [[{ role: 'tool', content: '' }], 'Message 0 has the role "tool"; roles are system, user, assistant'],
    [[...HELLO, { role: 'user' }], 'content of message 1 must be a string'],
    [[{ role: 'user', content: [{ type: 'text' }] }], 'content of message 0 must be a string'],
    [[{ role: 'user', content: '', tool_calls: [] }], 'field tool_calls of message 0'],
  ])('refuses %j', (messages, part) => {
    const act = () => checkMessages(messages)
    expect(act).toThrow(
      expect.objectContaining({ code: 'bad-request', message: expect.stringContaining(part) }),
    )
  })
})
