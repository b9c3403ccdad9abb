// The command line as a person or a script calls it: exit codes, and what is on stdout and on stderr.
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from '@playwright/test'
import { makeTinyModel } from '../test/fixtures/tiny-model.ts'
import { rootFolder } from '../tools/setup.mjs'

const LAYERS = 2
const folder = mkdtempSync(join(tmpdir(), 'switchyard-cli-'))
const model = join(folder, 'tiny.gguf')
const environment: NodeJS.ProcessEnv = {
  ...process.env,
  SWITCHYARD_CACHE: join(folder, 'cache'),
  SWITCHYARD_ADAPTER: 'software',
}
let bytes = new Uint8Array()

interface Row {
  id: number
  text: string
  routing: { layer: number; experts: number[]; weights: number[] }[]
}

interface Outcome {
  code: number | null
  stdout: string
  stderr: string
}

function engine(...line: string[]): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [join(rootFolder, 'tools', 'engine.mjs'), ...line], {
      cwd: folder,
      env: environment,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const outcome: Outcome = { code: null, stdout: '', stderr: '' }
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].setEncoding('utf8').on('data', (text: string) => {
        outcome[name] += text
      })
    }
    child.on('error', reject)
    child.on('close', (code) => resolve({ ...outcome, code }))
  })
}

async function document(...line: string[]) {
  const { code, stdout, stderr } = await engine(...line, '--model', model, '--json')
  expect(code, stderr).toBe(0)
  return JSON.parse(stdout)
}

/** Writes the file with one time for every content, so that its identity to the command line stays. */
function writeModel(content: Uint8Array): void {
  writeFileSync(model, content)
  utimesSync(model, 1_700_000_000, 1_700_000_000)
}

function expectRouting(rows: Row[]): void {
  expect(rows).not.toHaveLength(0)
  for (const { routing } of rows) {
    expect(routing.map(({ layer }) => layer)).toEqual(Array.from({ length: LAYERS }, (_, layer) => layer))
    for (const { experts, weights } of routing) {
      expect(new Set(experts).size).toBe(2)
      const [first = 0, second = 0] = weights
      expect(first).toBeGreaterThanOrEqual(second)
      expect(first + second).toBeCloseTo(1, 5)
    }
  }
}

test.beforeAll(async () => {
  const [file] = makeTinyModel({ layers: LAYERS }).files
  if (file === undefined) throw new Error('The tiny model has no file.')
  bytes = new Uint8Array(await file.arrayBuffer())
  writeModel(bytes)
})

test.afterAll(() => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }))

test('generate prints one document with the routing of every token, and needs the file only once', async () => {
  const line = ['generate', '--prompt', 'the ring', '--greedy', '--max-tokens', '4']
  const first = await document(...line)
  const { text, finishReason, promptTokens, tokens, usage, stats, device } = first
  expect(promptTokens.map((row: Row) => row.text).join('')).toBe('the ring')
  expect(promptTokens).toHaveLength(usage.prompt_tokens)
  expect(tokens).toHaveLength(4)
  expect(tokens).toHaveLength(usage.completion_tokens)
  expect(finishReason).toBe('length')
  expect(text).not.toBe('')
  expect(stats.tokensRead).toBeGreaterThan(0)
  expect(stats.memory.gpuBytes).toBeGreaterThan(0)
  expect(device.limits.maxBufferSize).toBeGreaterThan(0)
  expectRouting(promptTokens)
  expectRouting(tokens.slice(0, -1))
  expect(tokens.at(-1).routing).toEqual([])

  writeModel(new Uint8Array(bytes.length))
  try {
    const second = await document(...line)
    expect(second.text).toBe(text)
    expect(second.tokens.map((row: Row) => row.routing)).toEqual(tokens.map((row: Row) => row.routing))
  } finally {
    writeModel(bytes)
  }
})

test('generate --chat reads the turn through the template', async () => {
  const { promptTokens, tokens } = await document(
    'generate',
    '--chat',
    'hello',
    '--greedy',
    '--max-tokens',
    '2',
  )
  const prompt = promptTokens.map((row: Row) => row.text).join('')
  expect(prompt).toContain('user\nhello')
  expect(prompt).toContain('assistant')
  expectRouting(promptTokens)
  expect(tokens.length).toBeGreaterThan(0)
})

test('inspect describes a model, also one that does not fit', async () => {
  const { blueprint, bytes: sizes, fits, tensors } = await document('inspect', '--gpu-budget', '512KiB')
  expect(blueprint).toMatchObject({ architecture: 'mpoe-llama', layers: LAYERS, hiddenSize: 96 })
  expect(sizes.download).toBe(bytes.length)
  expect(sizes.floor).toBeGreaterThan(512 * 2 ** 10)
  expect(fits).toBe(false)
  expect(tensors).not.toHaveLength(0)
  expect((await document('inspect')).fits).toBe(true)
})

test('perplexity reads a text in windows', async () => {
  const text = join(folder, 'text.txt')
  writeFileSync(text, 'The ring goes on and on in the other hour. '.repeat(10))
  const score = await document('perplexity', '--text', text, '--tokens', '64', '--window', '32')
  expect(score).toMatchObject({ windows: 2, tokens: 64, windowTokens: 32 })
  expect(score.perplexity).toBeGreaterThan(1)
})

const missing = join(folder, 'missing.gguf')
const wrongLines: [name: string, line: string[], sentence: RegExp][] = [
  ['an unknown option', ['generate', '--prompt', 'x', '--fast'], /no option --fast/],
  ['a bad number', ['generate', '--prompt', 'x', '--max-tokens', 'many'], /whole number .* not "many"/],
  ['an unknown command', ['dance'], /no command dance/],
  ['a missing file', ['inspect', '--model', missing], /There is no file .*missing\.gguf/],
]
for (const [name, line, sentence] of wrongLines) {
  test(`${name} is bad input`, async () => {
    const { code, stdout, stderr } = await engine(...line, '--json')
    expect(code).toBe(2)
    expect(stderr).toMatch(sentence)
    expect(JSON.parse(stdout)).toEqual({ error: { code: 'bad-request', message: stderr.trim() } })
  })
}

test('without --json nothing but the sentence is printed', async () => {
  const { code, stdout, stderr } = await engine('inspect', '--gpu-budget', 'lots')
  expect([code, stdout]).toEqual([2, ''])
  expect(stderr).toMatch(/^--gpu-budget must be a size .*\n$/)
})

test('a damaged model fails with a code', async () => {
  const damaged = join(folder, 'damaged.gguf')
  writeFileSync(damaged, bytes.subarray(0, bytes.length - 1000))
  const { code, stdout, stderr } = await engine('inspect', '--model', damaged, '--json')
  expect(code).toBe(1)
  const { error } = JSON.parse(stdout)
  expect(error.code).toMatch(/^model-(corrupt|format)$/)
  expect(stderr).toContain(`${error.message} (${error.code})`)
})

test('a browser that does not start is a failure, not bad input', async () => {
  environment['SWITCHYARD_BROWSER'] = join(folder, 'no-browser')
  const { code, stdout, stderr } = await engine('inspect', '--model', model, '--json')
  expect(code).toBe(1)
  expect(stderr).toContain('no Chromium-family browser')
  expect(JSON.parse(stdout).error.code).toBe('browser-missing')
})
