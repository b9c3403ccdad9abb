// Tools that run on the loaded model inside the worker: perplexity, the decode benchmark, the plan.
// Loaded on demand, so that a page that only chats does not carry them.
import { EngineError } from '../errors.ts'
import type { GpuDevice } from '../gpu/device.ts'
import type { OpenModel } from '../open-model.ts'
import { benchDecode } from './bench-decode.ts'
import { inspectModel } from './inspect.ts'
import { scoreText } from './score-text.ts'

export interface ToolContext {
  model: OpenModel
  gpu: GpuDevice
  signal: AbortSignal
  /** Called now and then with the share of the work that is done. */
  report: (doneShare: number) => void
}

/**
 * Runs the tool `name`.
 * @throws EngineError `bad-request` when there is no such tool
 */
export async function runTool(name: string, context: ToolContext, options: unknown): Promise<unknown> {
  const values = (options ?? {}) as Record<string, unknown>
  if (name === 'perplexity') {
    const { text, tokens, windowTokens } = values
    return scoreText(context, String(text), Number(tokens ?? 1024), Number(windowTokens ?? 128))
  }
  if (name === 'bench-decode') return benchDecode(context, values['full'] === true)
  if (name === 'inspect') return inspectModel(context, values['gpuBudgetBytes'] as number | undefined)
  // A test hook: the device goes away as it would by itself.
  if (name === 'lose-device') return context.gpu.device.destroy()
  throw new EngineError('bad-request', `There is no tool ${name}.`, {
    hint: 'Known: perplexity, bench-decode, inspect.',
  })
}
