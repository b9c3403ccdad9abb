// The decode benchmark: token rates, and the share of the best kernel's rate that a token reaches.
import { macsPerToken } from '../model/blueprint.ts'
import type { StepResult } from '../model/step-result.ts'
import { collectCandidates } from '../sample/candidates.ts'
import { type KernelRate, measureKernels, median } from './kernel-rates.ts'
import type { ToolContext } from './tools.ts'

const PROMPT_TOKENS = 128
const DECODE_TOKENS = 32
const GROWTH_TOKENS = 200
const SAMPLING = { temperature: 0, repetitionPenalty: 1 }

export interface DecodeBench {
  macsPerToken: number
  bestKernelMacsPerSecond: number
  probeMacsPerSecond: number
  kernels: KernelRate[]
  decodeTokensPerSecond: number
  prefillTokensPerSecond: number
  rooflineShare: number
  dispatchesPerToken: number
  readbacksPerToken: number
  gpuBytes: number
  weightBytes: number
  kvBytes: number
  /** Growth over 200 further tokens, with `--full`. */
  growth?: { tokens: number; gpuBytes: number }
  device: unknown
}

/** 32 tokens after a 128-token prompt; rates are medians, ratios are of this run. */
export async function benchDecode(context: ToolContext, isFull: boolean): Promise<DecodeBench> {
  const { model, gpu, signal, report } = context
  const { runner, memory, manifest } = model
  const { vocabularySize } = manifest.blueprint
  const before = await measureKernels(context)
  report(0.2)
  const prompt = Array.from({ length: PROMPT_TOKENS }, (_, index) => (index * 7919 + 13) % vocabularySize)
  let last: StepResult | undefined
  let prefillMs = 0
  const chunkTokens = (): number => runner.network.state.chunkTokens
  for await (const chunk of runner.prefill(prompt, 0, { chunkTokens, sampling: SAMPLING, signal })) {
    prefillMs += chunk.ms
    last = chunk
  }
  report(0.6)
  const counts = { ...runner.counts }
  const times: number[] = []
  let position = PROMPT_TOKENS
  const decode = async (tokens: number): Promise<void> => {
    for (let step = 0; step < tokens; step++, position++) {
      const candidates = collectCandidates((last as StepResult).chunks as ArrayBuffer, vocabularySize, 0)
      const start = performance.now()
      last = await runner.step({
        tokens: [candidates.ids[0] as number],
        position,
        logits: 'last',
        sampling: SAMPLING,
      })
      times.push(performance.now() - start)
    }
  }
  await decode(DECODE_TOKENS)
  const tokenSeconds = median(times) / 1000
  const steps = runner.counts.decodeSteps - counts.decodeSteps
  report(0.8)
  // The machine may change pace between the two: kernels are measured on both sides of the tokens.
  const after = await measureKernels(context)
  const kernels = before.kernels.map(({ name, macsPerSecond }, index) => ({
    name,
    macsPerSecond: (macsPerSecond + (after.kernels[index]?.macsPerSecond ?? macsPerSecond)) / 2,
  }))
  const best = Math.max(...kernels.map(({ macsPerSecond }) => macsPerSecond))
  const macs = macsPerToken(manifest.blueprint)
  const { gpuBytes, weightBytes, kvBytes } = memory.usage()
  const result: DecodeBench = {
    macsPerToken: macs,
    bestKernelMacsPerSecond: best,
    probeMacsPerSecond: (before.probe.macsPerSecond + after.probe.macsPerSecond) / 2,
    kernels,
    decodeTokensPerSecond: 1 / tokenSeconds,
    prefillTokensPerSecond: (PROMPT_TOKENS * 1000) / prefillMs,
    rooflineShare: macs / best / tokenSeconds,
    dispatchesPerToken: (runner.counts.decodeDispatches - counts.decodeDispatches) / steps,
    readbacksPerToken: (runner.counts.decodeReadbacks - counts.decodeReadbacks) / steps,
    gpuBytes,
    weightBytes,
    kvBytes,
    device: gpu.info,
  }
  if (!isFull) return result
  const tokens = Math.min(GROWTH_TOKENS, runner.network.state.contextTokens - position)
  await decode(tokens)
  return { ...result, growth: { tokens, gpuBytes: memory.usage().gpuBytes - gpuBytes } }
}
