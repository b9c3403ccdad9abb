import { expect, test } from 'vitest'
import { plainLines } from './print.ts'

test('plainLines nests objects, joins short lists and gives list items a line each', () => {
  const value = {
    perplexity: 31.72345,
    windows: 8,
    shape: [2, 3],
    device: { vendor: 'x', limits: { a: 1 } },
    plan: [{ name: 'q', bytes: 4 }],
    none: null,
  }
  expect(plainLines(value)).toEqual([
    'perplexity: 31.723',
    'windows: 8',
    'shape: 2, 3',
    'device:',
    '  vendor: x',
    '  limits:',
    '    a: 1',
    'plan:',
    '  name q  bytes 4',
    'none: null',
  ])
})
