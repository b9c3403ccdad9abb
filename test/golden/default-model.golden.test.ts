// The whole way from the shards to tokens, against the float32 oracle. Three prompts here; all ten, all
// chunkings and the full perplexity with SWITCHYARD_FULL=1.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { GpuDevice } from '../../src/engine/gpu/device.ts'
import { scoreText } from '../../src/engine/measure/score-text.ts'
import type { OpenModel } from '../../src/engine/open-model.ts'
import { type Comparison, comparePrompt, expectGreedy, expectWithinBars } from './compare.ts'
import {
  type GoldenIndex,
  openDefaultModel,
  readGolden,
  readGoldenIndex,
  readGoldenText,
} from './default-model.ts'

const isFull = import.meta.env['VITE_SWITCHYARD_FULL'] === '1'
const QUICK_PROMPTS = ['capital', 'code', 'single']
const GREEDY_TOKENS = isFull ? 48 : 16

let model: OpenModel
let gpu: GpuDevice
let index: GoldenIndex
/** Prompts whose routing had to be forced: a choice inside the border gap went the other way. */
const forced: string[] = []

beforeAll(async () => {
  ;({ model, gpu } = await openDefaultModel({ minimal: false }))
  index = await readGoldenIndex()
})
afterAll(() => {
  model.close()
  gpu.destroy()
})

const prompt = (name: string) => {
  const found = index.prompts.find((candidate) => candidate.name === name)
  if (found === undefined) throw new Error(`no golden prompt ${name}`)
  return found
}

async function compare(name: string, chunkTokens: number, on = model): Promise<Comparison> {
  const golden = await readGolden(name)
  const { input_ids: ids } = prompt(name)
  const first = await comparePrompt(on, ids, golden, { chunkTokens, isForced: false })
  if (first.ambiguous === 0) return first
  forced.push(name)
  return comparePrompt(on, ids, golden, { chunkTokens, isForced: true })
}

const NAMES = isFull
  ? ['capital', 'python', 'story', 'followup', 'code', 'digits', 'unicode', 'raw', 'single', 'system']
  : QUICK_PROMPTS

describe('the default model', () => {
  it.each(NAMES)('gives the golden token ids of prompt %s', (name) => {
    const { text, input_ids: ids } = prompt(name)
    expect(model.tokenizer.encode(text, { specials: 'parse' })).toEqual(ids)
  })

  it.each(NAMES)('agrees with the oracle on prompt %s in one chunk', async (name) => {
    expectWithinBars(await compare(name, 64))
  })

  it.each(isFull ? NAMES : ['code'])(
    'agrees in chunks of 7 and token by token on prompt %s',
    async (name) => {
      expectWithinBars(await compare(name, 7))
      expectWithinBars(await compare(name, 1))
    },
  )

  it.each(NAMES)('continues prompt %s greedily as the oracle does', async (name) => {
    await expectGreedy(model, prompt(name), GREEDY_TOKENS)
  })

  it('needed forced routing in at most one prompt', () => {
    expect(new Set(forced).size).toBeLessThanOrEqual(1)
  })

  it('has the golden perplexity', async () => {
    const text = await readGoldenText('wikitext2-test-60k.txt')
    const signal = new AbortController().signal
    const score = await scoreText(
      { model, gpu, signal, report: () => undefined },
      text,
      isFull ? 1024 : 128,
      128,
    )
    const expected = index.perplexity.mpoe.nll_per_window.slice(0, score.windows)
    expect(expected.length).toBe(isFull ? 8 : 1)
    const mean = expected.reduce((sum, nll) => sum + nll, 0) / (expected.length * 127)
    expect(Math.abs(Math.exp(score.meanNll - mean) - 1)).toBeLessThan(0.002)
  })

  it('agrees with the oracle on a device without features and with default limits', async () => {
    const minimal = await openDefaultModel({ minimal: true })
    try {
      expect(minimal.gpu.info.features).not.toContain('subgroups')
      expectWithinBars(await compare(isFull ? 'capital' : 'code', 64, minimal.model))
    } finally {
      minimal.model.close()
      minimal.gpu.destroy()
    }
  })
})
