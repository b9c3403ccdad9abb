import { describe, expect, it } from 'vitest'
import { TokenTrace } from '../../index.ts'
import { describeToken, describeUse, nameToken, readToken } from './describe.ts'
import { readTranscript } from './transcript.ts'

const SHAPE = { layers: 1, experts: 4, topK: 2 }

function traceOf(texts: (string | undefined)[]): TokenTrace {
  const trace = new TokenTrace(SHAPE)
  for (const text of texts) {
    trace.push(
      { id: text === undefined ? undefined : 1, text, phase: 'decode', ms: 12, stallMs: 0, bytesRead: 0 },
      {
        experts: Uint16Array.of(3, 1),
        weights: Uint8Array.of(191, 64),
        precision: Uint8Array.of(2, 2),
        source: Uint8Array.of(0, 0),
      },
    )
  }
  return trace
}

describe('a token in words', () => {
  it.each([
    ['<|im_end|>', 'control', 'im_end'],
    ['</s>', 'control', '/s'],
    ['<', 'text', '<'],
    ['a <b>', 'text', 'a <b>'],
    ['\n\n', 'space', '↵↵'],
    ['\t ', 'space', '⇥·'],
    ['', 'part', '◌'],
    ['<0xE2><0x88>', 'part', 'E288'],
    [undefined, 'withheld', '▢'],
  ])('reads %j as %s', (text, kind, shown) => {
    expect(readToken(text)).toEqual({ kind, shown })
  })

  it('names the empty token that ended an answer', () => {
    expect(readToken('', true)).toEqual({ kind: 'control', shown: 'end' })
    expect(nameToken('', true)).toBe('control token end')
  })

  it('says experts, weights, precision, source and wait', () => {
    expect(describeToken(traceOf([' named']), 0, 0)).toBe(
      'Token 0, ‘ named’. Layer 0: expert 3, 75 percent, high precision, from GPU; ' +
        'expert 1, 25 percent, high precision, from GPU. Took 12.0 ms. No wait.',
    )
  })

  it('says how even the use of a layer was, and which experts were silent', () => {
    expect(describeUse(7, [0, 3, 0, 1], 4, 2)).toBe(
      'Layer 7, 4 tokens: expert 1 was chosen most, by 75 percent; even use would be 50 percent. 2 of 4 silent.',
    )
    expect(describeUse(7, [0, 0], 0, 1)).toBe('Layer 7: no token was read yet.')
  })
})

describe('the transcript of a run', () => {
  it('finds the turns between control tokens and leaves the system’s out', () => {
    const turns = ['<|im_start|>', 'system', '\n', 'Be kind.', '<|im_end|>', '\n']
    const user = ['<|im_start|>', 'us', 'er', '\n', 'Hello', ' there', '<|im_end|>', '\n']
    const answer = ['<|im_start|>', 'assistant', '\n', 'Hi', '!', '<|im_end|>']
    expect(readTranscript(traceOf([...turns, ...user, ...answer]))).toEqual([
      { role: 'user', text: 'Hello there' },
      { role: 'assistant', text: 'Hi!' },
    ])
  })

  it('puts characters together that tokens spell in bytes', () => {
    expect(readTranscript(traceOf(['2', '<0xE2><0x88>', '<0x9A>', 'n', '<0xFF>']))).toEqual([
      { role: 'text', text: '2√n\ufffd' },
    ])
  })

  it('takes a run without turns as one text', () => {
    expect(readTranscript(traceOf(['Once', ' upon', ' a time']))).toEqual([
      { role: 'text', text: 'Once upon a time' },
    ])
  })

  it('does not take a role that a file invents', () => {
    expect(readTranscript(traceOf(['<|im_start|>', '__proto__', '\n', 'x', '<|im_end|>']))).toEqual([
      { role: 'text', text: 'x' },
    ])
  })

  it('is empty when the text was withheld', () => {
    expect(readTranscript(traceOf([undefined, undefined]))).toEqual([])
  })
})
