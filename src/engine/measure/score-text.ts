// Perplexity of a text in independent windows; the protocol of the golden figures.
import { EngineError } from '../errors.ts'
import type { ToolContext } from './tools.ts'

export interface TextScore {
  perplexity: number
  meanNll: number
  /** Sum of the losses of each window. */
  nllPerWindow: number[]
  windows: number
  windowTokens: number
  tokens: number
  seconds: number
  lowShare: number
}

/** Tokens scored at once: the logits of all of them are read back. */
const SCORE_TOKENS = 32

/**
 * exp(mean NLL) of the first `tokens` tokens of `text`, without special tokens, in windows of `windowTokens`
 * that do not see each other; loss on tokens 2 to the window's end.
 * @throws EngineError `bad-request` when the text is shorter than one window
 */
export async function scoreText(
  { model, signal, report }: ToolContext,
  text: string,
  tokens: number,
  windowTokens: number,
): Promise<TextScore> {
  const start = performance.now()
  const ids = model.tokenizer.encode(text, { specials: 'plain' }).slice(0, tokens)
  const windows = Math.floor(ids.length / windowTokens)
  const { contextTokens } = model.runner.network.state
  if (!(windowTokens >= 2 && windowTokens <= contextTokens) || windows < 1) {
    throw new EngineError(
      'bad-request',
      `${ids.length} tokens do not fill a window of ${windowTokens} (context ${contextTokens}).`,
      {
        hint: 'Give a longer text, or a window between 2 and the context.',
        details: { tokens: ids.length, windowTokens },
      },
    )
  }
  const nllPerWindow: number[] = []
  for (let window = 0; window < windows; window++) {
    const slice = ids.slice(window * windowTokens, (window + 1) * windowTokens)
    nllPerWindow.push(await scoreWindow(model, slice, signal))
    report((window + 1) / windows)
  }
  const meanNll = nllPerWindow.reduce((sum, nll) => sum + nll, 0) / (windows * (windowTokens - 1))
  return {
    perplexity: Math.exp(meanNll),
    meanNll,
    nllPerWindow,
    windows,
    windowTokens,
    tokens: windows * windowTokens,
    seconds: (performance.now() - start) / 1000,
    lowShare: 0,
  }
}

async function scoreWindow(
  { runner, manifest }: ToolContext['model'],
  ids: readonly number[],
  signal: AbortSignal,
): Promise<number> {
  const { vocabularySize } = manifest.blueprint
  let total = 0
  for await (const chunk of runner.prefill(ids, 0, {
    chunkTokens: () => SCORE_TOKENS,
    logits: 'all',
    signal,
  })) {
    for (let token = 0; token < chunk.count; token++) {
      const target = ids[chunk.first + token + 1]
      if (target === undefined) break
      const row = (chunk.logits as Float32Array).subarray(
        token * vocabularySize,
        (token + 1) * vocabularySize,
      )
      total += logSumExp(row) - (row[target] as number)
    }
  }
  return total
}

function logSumExp(row: Float32Array): number {
  let peak = Number.NEGATIVE_INFINITY
  for (const value of row) peak = Math.max(peak, value)
  let sum = 0
  for (const value of row) sum += Math.exp(value - peak)
  return peak + Math.log(sum)
}
