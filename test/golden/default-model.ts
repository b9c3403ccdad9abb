// The default model on a device of the browser, and the golden outputs beside it.
import { type GpuDevice, openDevice } from '../../src/engine/gpu/device.ts'
import { importModel } from '../../src/engine/import/import-model.ts'
import { type OpenModel, openModel } from '../../src/engine/open-model.ts'
import { ModelStore } from '../../src/engine/store/model-store.ts'
import { type GoldenTensor, parseSafetensors } from '../fixtures/safetensors.ts'

const FIRST_SHARD = '/models/smollm2-mpoe-8x135m/smollm2-mpoe-8x135m-00001-of-00004.gguf'

export interface GoldenPrompt {
  name: string
  text: string
  input_ids: number[]
  greedy: number[]
  greedy_margins: number[]
  greedy_text: string
}

export interface GoldenIndex {
  prompts: GoldenPrompt[]
  perplexity: { mpoe: { perplexity: number; nll_per_window: number[] } }
}

/** Imports the default model once and opens it on a device of its own. */
export async function openDefaultModel(options: {
  minimal: boolean
}): Promise<{ model: OpenModel; gpu: GpuDevice }> {
  const store = new ModelStore()
  const url = new URL(FIRST_SHARD, location.href).href
  const manifest = await importModel({ source: { urls: [url] }, store })
  const gpu = await openDevice(options)
  const signal = new AbortController().signal
  const model = await openModel({
    manifest,
    tokenizerData: await store.readTokenizer(manifest),
    readGroup: (group) => store.readGroup(manifest, group),
    gpu,
    gpuBudgetBytes: Number.POSITIVE_INFINITY,
    contextTokens: 512,
    signal,
    onUpload: () => undefined,
    onStage: () => undefined,
  })
  return { model, gpu }
}

export async function readGoldenIndex(): Promise<GoldenIndex> {
  const response = await fetch('/test/fixtures/golden/golden.json')
  return (await response.json()) as GoldenIndex
}

export async function readGolden(name: string): Promise<Record<string, GoldenTensor>> {
  const response = await fetch(`/test/fixtures/golden/${name}.safetensors`)
  return parseSafetensors(await response.arrayBuffer())
}

export async function readGoldenText(name: string): Promise<string> {
  return (await fetch(`/test/fixtures/golden/${name}`)).text()
}
