import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createStopMatcher } from './stop-strings.ts'

function run(stops: string[], pieces: string[]): { text: string; isStopped: boolean; shown: string[] } {
  const matcher = createStopMatcher(stops)
  const shown: string[] = []
  let isStopped = false
  for (const piece of pieces) {
    const result = matcher.push(piece)
    shown.push(result.text)
    isStopped = result.isStopped
  }
  if (!isStopped) shown.push(matcher.flush())
  return { text: shown.join(''), isStopped, shown }
}

describe('createStopMatcher', () => {
  test('ends the text before the stop string, wherever pieces break', () => {
    expect(run(['\n\n'], ['one\n', 'two\n', '\nthree'])).toMatchObject({ text: 'one\ntwo', isStopped: true })
    expect(run(['END'], ['aEN', 'D and more'])).toMatchObject({ text: 'a', isStopped: true })
  })

  test('holds back what could begin a stop string, and no more', () => {
    expect(run(['END'], ['abE', 'Nb', 'xE']).shown).toEqual(['ab', 'ENb', 'x', 'E'])
    expect(run(['aab'], ['aa', 'a', 'b']).shown).toEqual(['', 'a', ''])
  })

  test('passes everything through without stop strings', () => {
    expect(run([], ['a', '', 'b'])).toEqual({ text: 'ab', isStopped: false, shown: ['a', '', 'b', ''] })
  })

  test('stops where the first is complete, the longest among those', () => {
    expect(run(['abcd', 'bc'], ['abcd'])).toMatchObject({ text: 'a', isStopped: true })
    expect(run(['c', 'abc'], ['xabc'])).toMatchObject({ text: 'x', isStopped: true })
  })

  test('says nothing after the stop', () => {
    const matcher = createStopMatcher(['.'])
    expect(matcher.push('a.b')).toEqual({ text: 'a', isStopped: true })
    expect(matcher.push('c')).toEqual({ text: '', isStopped: true })
    expect(matcher.flush()).toBe('')
  })

  test('gives the same text for every way of cutting it', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 30 })
    const stop = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 1, maxLength: 5 })
    fc.assert(
      fc.property(fc.array(text, { maxLength: 8 }), fc.array(stop, { maxLength: 4 }), (pieces, stops) => {
        const { text: cut, isStopped } = run(stops, pieces)
        const whole = run(stops, [pieces.join('')])
        expect([cut, isStopped]).toEqual([whole.text, whole.isStopped])
        for (const each of stops) expect(cut.includes(each)).toBe(false)
        expect(isStopped).toBe(stops.some((each) => pieces.join('').includes(each)))
      }),
      { numRuns: 1000, seed: 4 },
    )
  })
})
