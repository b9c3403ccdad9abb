import { describe, expect, test } from 'vitest'
import { checkSampling } from './check-sampling.ts'

function message(request: object): string {
  try {
    checkSampling(request)
  } catch (error) {
    expect(error).toMatchObject({
      name: 'EngineError',
      code: 'bad-request',
      hint: expect.stringMatching(/./),
    })
    return (error as Error).message
  }
  throw new Error('the request was accepted')
}

describe('checkSampling', () => {
  test('fills in the defaults', () => {
    const { seed, ...settings } = checkSampling({ messages: [] })
    expect(settings).toEqual({
      temperature: 1,
      topP: 1,
      topK: 0,
      minP: 0,
      repetitionPenalty: 1,
      stop: [],
      maxTokens: undefined,
      stream: false,
      includeUsage: false,
    })
    expect(Number.isInteger(seed)).toBe(true)
    expect(new Set(Array.from({ length: 8 }, () => checkSampling({}).seed)).size).toBeGreaterThan(1)
  })

  test('takes what is asked for', () => {
    const request = {
      prompt: 'x',
      model: 'any',
      temperature: 0,
      top_p: 0.9,
      top_k: 40,
      min_p: 0.05,
      repetition_penalty: 1.1,
      seed: -3,
      stop: ['a', 'b'],
      max_tokens: 5,
      stream: true,
      stream_options: { include_usage: true },
      signal: undefined,
    }
    expect(checkSampling(request)).toEqual({
      temperature: 0,
      topP: 0.9,
      topK: 40,
      minP: 0.05,
      repetitionPenalty: 1.1,
      seed: -3,
      stop: ['a', 'b'],
      maxTokens: 5,
      stream: true,
      includeUsage: true,
    })
    expect(checkSampling({ stop: 'x', n: undefined }).stop).toEqual(['x'])
  })

  test.each([
    'frequency_penalty',
    'presence_penalty',
    'logit_bias',
    'logprobs',
    'tools',
    'n',
    'best_of',
    'Seed',
  ])('refuses %s by name', (key) => {
    expect(message({ [key]: 1 })).toBe(`The option ${key} is not supported.`)
  })

  test.each([
    [{ temperature: -0.1 }, 'temperature is -0.1'],
    [{ temperature: 5.5 }, 'from 0 to 5'],
    [{ temperature: 0.001 }, '0 (greedy) or from 0.01 to 5'],
    [{ temperature: NaN }, 'temperature is NaN'],
    [{ temperature: '1' }, 'temperature must be a number'],
    [{ temperature: null }, 'temperature must be a number'],
    [{ top_p: 1.01 }, 'from 0 to 1'],
    [{ top_k: 1.5 }, 'a whole number'],
    [{ top_k: -1 }, 'top_k is -1'],
    [{ min_p: 2 }, 'min_p is 2'],
    [{ repetition_penalty: 0 }, 'from 0.1 to 10'],
    [{ max_tokens: 0 }, 'from 1 to'],
    [{ seed: 2 ** 53 }, 'seed is 9007199254740992'],
    [{ seed: 'x' }, 'seed must be a whole number'],
    [{ stop: '' }, 'from 1 to 256 characters'],
    [{ stop: ['a', 3] }, 'stop must be a string or an array of strings'],
    [{ stop: Array(17).fill('a') }, 'stop has 17 strings; at most 16'],
    [{ stream: 'yes' }, 'stream must be true or false'],
    [{ stream_options: { include_usage: 1 } }, 'include_usage must be true or false'],
    [{ stream_options: { more: 1 } }, 'stream_options.more is not supported'],
    [{ stream_options: null }, 'stream_options must be an object'],
    [{ model: 7 }, 'model must be a string'],
  ])('refuses %o', (request, part) => {
    expect(message(request)).toContain(part)
  })
})
