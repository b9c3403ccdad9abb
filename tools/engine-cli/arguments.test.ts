import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Invocation, parseLine } from './arguments.ts'
import { BadInput } from './bad-input.ts'

function invocation(...line: string[]): Invocation {
  const parsed = parseLine(line)
  if (parsed.kind === 'help') throw new Error('expected a run')
  return parsed.invocation
}

describe('parseLine', () => {
  test('reads options with a space and with an equals sign', () => {
    const { text, numbers, flags } = invocation(
      ...['generate', '--chat', 'Hi', '--system=Be = brief', '--max-tokens', '24', '--greedy', '--json'],
    )
    expect(text).toEqual({ chat: 'Hi', system: 'Be = brief' })
    expect(numbers).toEqual({ 'max-tokens': 24 })
    expect([...flags]).toEqual(['greedy', 'json'])
  })

  test('takes a value that begins with dashes', () => {
    expect(invocation('generate', '--prompt', '--- a list').text['prompt']).toBe('--- a list')
    expect(invocation('generate', '--prompt', '--unheard-of').text['prompt']).toBe('--unheard-of')
  })

  test.each([
    ['256MiB', 268_435_456],
    ['64MB', 64_000_000],
    ['1.5GiB', 1_610_612_736],
    ['2kB', 2000],
    ['3KiB', 3072],
    ['0', 0],
    ['512B', 512],
  ])('reads the size %s as %i bytes', (size, bytes) => {
    expect(invocation('inspect', '--gpu-budget', size).numbers['gpu-budget']).toBe(bytes)
  })

  test('lets a decimal and a binary unit differ by their ratio, for any amount', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1_000_000 }), (amount) => {
        const decimal = invocation('inspect', '--host-budget', `${amount}MB`).numbers['host-budget']
        const binary = invocation('inspect', '--host-budget', `${amount}MiB`).numbers['host-budget']
        expect(decimal).toBe(amount * 1_000_000)
        expect(binary).toBe(amount * 1_048_576)
      }),
    )
  })

  test.each([
    ['no such command', ['dance'], /no command dance/],
    ['a command of Object.prototype', ['constructor'], /no command constructor/],
    ['a later command', ['factorize'], /does not exist yet/],
    ['an unknown option', ['generate', '--prompt', 'x', '--fast'], /no option --fast/],
    ['an option of another command', ['inspect', '--chat', 'x'], /inspect has no option --chat/],
    ['a missing value at the end', ['generate', '--prompt'], /--prompt needs a value/],
    ['an option where a value belongs', ['generate', '--prompt', '--json'], /--prompt needs a value/],
    ['a flag with a value', ['generate', '--prompt', 'x', '--json=yes'], /--json takes no value/],
    ['an option given twice', ['generate', '--prompt', 'x', '--prompt', 'y'], /given twice/],
    ['neither prompt nor chat', ['generate'], /either --prompt TEXT or --chat TEXT/],
    ['prompt and chat', ['generate', '--prompt', 'x', '--chat', 'y'], /either --prompt TEXT or --chat TEXT/],
    [
      'a system message on a raw prompt',
      ['generate', '--prompt', 'x', '--system', 'y'],
      /--system goes with/,
    ],
    ['a stray word', ['generate', '--prompt', 'two', 'words'], /"words" is not an option/],
    ['zero tokens', ['generate', '--prompt', 'x', '--max-tokens', '0'], /from 1 to/],
    ['a number with a fraction', ['generate', '--prompt', 'x', '--max-tokens', '1.5'], /not "1.5"/],
    ['a negative seed', ['generate', '--prompt', 'x', '--seed', '-1'], /from 0 to/],
    ['a size without a number', ['inspect', '--gpu-budget', 'lots'], /size like/],
    ['a size in an unknown unit', ['inspect', '--gpu-budget', '12Mb'], /size like/],
    ['a size in a unit of Object.prototype', ['inspect', '--gpu-budget', '1constructor'], /size like/],
    ['a size beyond exact numbers', ['inspect', '--gpu-budget', '99999999999GiB'], /too large/],
    ['perplexity without a text', ['perplexity'], /needs --text/],
    ['a window of one token', ['perplexity', '--text', 'f', '--window', '1'], /at least 2/],
    [
      'fewer tokens than a window',
      ['perplexity', '--text', 'f', '--tokens', '64'],
      /less than one window of 128/,
    ],
    ['a bench without a kind', ['bench'], /needs a kind/],
    ['an unknown bench', ['bench', 'sleep'], /not "sleep"/],
    ['a later bench', ['bench', 'offload'], /does not exist yet/],
    ['dense experts', ['inspect', '--experts', 'dense'], /--experts dense does not exist yet/],
    ['unknown experts', ['inspect', '--experts', 'many'], /--experts is mpo/],
    ['int8 activations', ['inspect', '--activations', 'int8'], /does not exist yet/],
    ['a precision ladder', ['inspect', '--ladder', '8+4'], /--ladder does not exist yet/],
    ['a mode', ['inspect', '--mode', 'exact'], /--mode does not exist yet/],
    ['a cache policy', ['inspect', '--cache-policy=lru'], /--cache-policy does not exist yet/],
    ['an expert budget', ['inspect', '--expert-budget', '25%'], /--expert-budget does not exist yet/],
  ])('refuses %s with a sentence', (_, line, message) => {
    expect(() => parseLine(line)).toThrow(BadInput)
    expect(() => parseLine(line)).toThrow(message)
    expect(() => parseLine(line)).toThrow(/\.$/)
  })

  test('has a help text for every command that names each of its options', () => {
    for (const command of ['generate', 'perplexity', 'inspect', 'bench']) {
      const parsed = parseLine([command, '--help'])
      expect(parsed.kind === 'help' && parsed.text).toMatch(
        new RegExp(`^${command}[\\s\\S]*--model[\\s\\S]*--json`),
      )
    }
    const overview = parseLine([])
    expect(overview.kind === 'help' && overview.text).toMatch(
      /generate[\s\S]*perplexity[\s\S]*inspect[\s\S]*bench/,
    )
  })
})
