// The command line: reads the arguments, runs one job in the browser, prints, and leaves with 0, 1 or 2.
import { readFileSync, statSync } from 'node:fs'
import type { EngineOptions, GenerationOptions } from '../../src/engine/protocol.ts'
import { noBrowser, prepareBrowser } from '../setup.mjs'
import { type Invocation, parseLine } from './arguments.ts'
import { BadInput } from './bad-input.ts'
import { openHarness, runJob } from './browser.ts'
import { HeapWatch } from './heap-watch.ts'
import type { Job, JobError, JobResult, Report, Task } from './job.ts'
import { resolveModel, type ServedFiles } from './model-files.ts'
import { ProgressLine, plainLines } from './print.ts'
import { cacheFolder, prepareProfile, takeLock } from './profile.ts'
import { buildHarness, serve } from './server.ts'

const LARGEST_TEXT_BYTES = 64 * 2 ** 20

function taskOf({ command, text, numbers, flags }: Invocation): Task {
  if (command === 'inspect') {
    const gpuBudgetBytes = numbers['gpu-budget']
    return gpuBudgetBytes === undefined ? { kind: 'inspect' } : { kind: 'inspect', gpuBudgetBytes }
  }
  if (command === 'bench') return { kind: 'bench', name: 'decode', full: flags.has('full') }
  if (command === 'perplexity') {
    const tokens = numbers['tokens'] ?? 1024
    return {
      kind: 'perplexity',
      text: readText(text['text'] ?? ''),
      tokens,
      windowTokens: numbers['window'] ?? 128,
    }
  }
  const options: GenerationOptions = { max_tokens: numbers['max-tokens'] ?? 128 }
  if (flags.has('greedy')) options.temperature = 0
  if (numbers['seed'] !== undefined) options.seed = numbers['seed']
  if (text['prompt'] !== undefined) return { kind: 'generate', input: { prompt: text['prompt'] }, options }
  const user = { role: 'user' as const, content: text['chat'] ?? '' }
  const system = text['system']
  const messages = system === undefined ? [user] : [{ role: 'system' as const, content: system }, user]
  return { kind: 'generate', input: { messages }, options }
}

function readText(file: string): string {
  const stats = statSync(file, { throwIfNoEntry: false })
  if (stats === undefined || !stats.isFile()) throw new BadInput(`There is no file ${file}.`)
  if (stats.size > LARGEST_TEXT_BYTES) {
    throw new BadInput(`${file} has ${stats.size} bytes; a text may have ${LARGEST_TEXT_BYTES}.`)
  }
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(readFileSync(file))
  } catch {
    throw new BadInput(`${file} is not UTF-8 text.`)
  }
}

function engineOptionsOf({ command, numbers }: Invocation): EngineOptions {
  const options: EngineOptions = {}
  if (numbers['context'] !== undefined) options.contextTokens = numbers['context']
  // `inspect` also describes what does not fit, so there the budget is only compared with.
  if (numbers['gpu-budget'] !== undefined && command !== 'inspect') {
    options.gpuBudgetBytes = numbers['gpu-budget']
  }
  if (numbers['host-budget'] !== undefined) options.hostBudgetBytes = numbers['host-budget']
  return options
}

async function runInBrowser(
  job: Job,
  files: ServedFiles,
  isFresh: boolean,
  onReport: (report: Report) => void,
): Promise<JobResult> {
  const cleanups: (() => unknown)[] = []
  const cleanUp = async () => {
    for (const step of cleanups.splice(0).reverse()) await step()
  }
  const onSignal = () => void cleanUp().finally(() => process.exit(130))
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal)
  try {
    const folder = cacheFolder()
    const releaseLock = await takeLock(folder, (holder) => {
      console.error(`Waiting for another run of this command (process ${holder})…`)
    })
    cleanups.push(releaseLock)
    const browser = await prepareBrowser()
    if (browser === undefined)
      return { ok: false, error: { code: 'browser-missing', ...noBrowser, details: {} } }
    const { server, port } = await serve(await buildHarness(), files)
    cleanups.push(() => server.close())
    const { context, page } = await openHarness(browser, prepareProfile(folder, isFresh), port, onReport)
    cleanups.push(() => context.close())
    if (job.task.kind !== 'bench') return await runJob(page, job)
    const heap = await HeapWatch.start(page)
    cleanups.push(() => heap.stop())
    const result = await runJob(page, job)
    if (!result.ok) return result
    return { ok: true, value: { ...(result.value as object), heapPeakBytes: heap.peakBytes } }
  } finally {
    await cleanUp()
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal)
  }
}

function printError({ code, message, hint }: JobError): void {
  console.error(`${message} (${code})${hint === '' ? '' : `\n${hint}`}`)
}

function printResult(task: Task, value: unknown): void {
  if (task.kind !== 'generate') {
    console.log(plainLines(value).join('\n'))
    return
  }
  process.stdout.write('\n')
  const { finishReason, usage } = value as { finishReason: string; usage: unknown }
  console.error(plainLines({ finishReason, usage }).join('\n'))
}

async function run(invocation: Invocation): Promise<number> {
  const { target, files } = resolveModel(invocation.text['model'])
  const task = taskOf(invocation)
  const job: Job = { target, engine: engineOptionsOf(invocation), task }
  const isJson = invocation.flags.has('json')
  const progress = new ProgressLine()
  const result = await runInBrowser(job, files, invocation.flags.has('fresh'), (report) => {
    if (report.kind === 'load') progress.load(report.progress)
    else if (report.kind === 'tool') progress.tool(task.kind, report.doneShare)
    else {
      progress.end()
      ;(isJson ? process.stderr : process.stdout).write(report.text)
    }
  })
  progress.end()
  if (isJson) console.log(JSON.stringify(result.ok ? result.value : { error: result.error }, null, 2))
  else if (result.ok) printResult(task, result.value)
  if (result.ok) return 0
  printError(result.error)
  return result.error.code === 'bad-request' ? 2 : 1
}

try {
  const parsed = parseLine(process.argv.slice(2))
  if (parsed.kind === 'help') console.log(parsed.text)
  else process.exitCode = await run(parsed.invocation)
} catch (error) {
  const isBadInput = error instanceof BadInput
  console.error(isBadInput ? error.message : error)
  // The line may be what is wrong, so its parsed form cannot be asked.
  if (process.argv.includes('--json')) {
    const message = error instanceof Error ? error.message : String(error)
    console.log(
      JSON.stringify({ error: { code: isBadInput ? 'bad-request' : 'internal', message } }, null, 2),
    )
  }
  process.exitCode = isBadInput ? 2 : 1
}
