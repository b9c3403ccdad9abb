import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import type { Server } from 'node:http'
import { tmpdir } from 'node:os'
import { basename, join, relative, sep } from 'node:path'
import { expect, type Page, test } from '@playwright/test'
import { createServer, build as viteBuild } from 'vite'
import { makeTinyModel } from '../test/fixtures/tiny-model.ts'
import { serve } from '../tools/engine-cli/server.ts'
import { rootFolder } from '../tools/setup.mjs'

// Outside the repository, so that nothing can be resolved from its node_modules.
const folder = mkdtempSync(join(tmpdir(), 'switchyard-embed-'))
const app = join(folder, 'app')
const installed = join(app, 'node_modules', 'switchyard')
const models = new Map<string, string>()
const open: Server[] = []

function npm(args: string[], cwd: string): string {
  return execFileSync('npm', args, { cwd, encoding: 'utf8', shell: process.platform === 'win32' })
}

test.beforeAll(async () => {
  npm(['pack', '--silent', '--pack-destination', folder], rootFolder)
  const [archive = ''] = readdirSync(folder).filter((name) => name.endsWith('.tgz'))
  cpSync(join(rootFolder, 'examples', 'embed'), app, { recursive: true })
  const main = readFileSync(join(app, 'main.js'), 'utf8')
  writeFileSync(join(app, 'main.js'), predictable(main).replace("'/dist/switchyard.js'", "'switchyard'"))
  writeFileSync(join(app, 'package.json'), '{ "name": "app", "private": true, "type": "module" }')
  npm(['install', '--offline', '--no-audit', '--no-fund', join(folder, archive)], app)
  for (const file of makeTinyModel({ shards: 2 }).files) {
    const path = join(app, 'public', 'models', file.name)
    mkdirSync(join(app, 'public', 'models'), { recursive: true })
    writeFileSync(path, new Uint8Array(await file.arrayBuffer()))
    models.set(`/models/${file.name}`, path)
  }
})

test.afterAll(() => {
  for (const server of open) server.close()
  rmSync(folder, { recursive: true, force: true })
})

/** The example as it is, but greedy and short, since a random model does not stop by itself. */
function predictable(main: string): string {
  const request = 'stream: true'
  if (main.split(request).length !== 2) throw new Error(`main.js must have "${request}" once.`)
  return main.replace(request, `${request}, temperature: 0, max_tokens: 12`)
}

/** Every file below `root`, by its path on a server. */
function pagesOf(root: string, prefix = '/'): Map<string, Uint8Array> {
  const pages = new Map<string, Uint8Array>()
  for (const entry of readdirSync(root, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const file = join(entry.parentPath, entry.name)
    pages.set(prefix + relative(root, file).split(sep).join('/'), readFileSync(file))
  }
  return pages
}

async function start(pages: ReadonlyMap<string, Uint8Array>): Promise<string> {
  const { server, port } = await serve(pages, models)
  open.push(server)
  return `http://127.0.0.1:${port}`
}

async function streamChat(page: Page, origin: string): Promise<void> {
  const foreign: string[] = []
  page.on('request', (request) => {
    if (!request.url().startsWith(origin) && !request.url().startsWith('blob:')) foreign.push(request.url())
  })
  const [first = ''] = [...models.keys()]
  await page.goto(`${origin}/index.html?model=${first}`)
  await page.getByRole('textbox', { name: 'Question' }).fill('hello')
  await page.getByRole('button', { name: 'Ask' }).click()
  await expect(page.getByRole('status').first()).toHaveText('done', { timeout: 120_000 })
  // A random model may well say nothing but line breaks, which a locator's own checks would not count.
  expect((await page.locator('output').textContent())?.length).toBeGreaterThan(0)
  expect(foreign).toEqual([])
}

test('the package has no dependencies, no model and no tests', () => {
  const { dependencies, peerDependencies } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'))
  expect([dependencies, peerDependencies]).toEqual([undefined, undefined])
  const files = [...pagesOf(installed).keys()]
  expect(files.filter((file) => /gguf|\.test\.|fixtures/.test(file))).toEqual([])
  const archive = readdirSync(folder).find((name) => name.endsWith('.tgz')) ?? ''
  expect(readFileSync(join(folder, archive)).length).toBeLessThan(1_000_000)
})

test('a page with a plain module script streams a chat', async ({ page }) => {
  const folder = join(rootFolder, 'examples', 'embed')
  const example = pagesOf(folder)
  example.set('/main.js', Buffer.from(predictable(readFileSync(join(folder, 'main.js'), 'utf8'))))
  await streamChat(page, await start(new Map([...example, ...pagesOf(join(installed, 'dist'), '/dist/')])))
})

test('an app that Vite built streams a chat', async ({ page }) => {
  await viteBuild({
    root: app,
    configFile: false,
    logLevel: 'error',
    build: { target: 'es2023', copyPublicDir: false },
  })
  await streamChat(page, await start(pagesOf(join(app, 'dist'))))
})

test('an app on Vite’s dev server streams a chat', async ({ page }) => {
  const server = await createServer({
    root: app,
    configFile: false,
    logLevel: 'error',
    server: { host: '127.0.0.1', port: 0 },
  })
  await server.listen()
  try {
    await streamChat(page, new URL(server.resolvedUrls?.local[0] ?? '').origin)
  } finally {
    await server.close()
  }
})

test('a type checker understands the package without the repository', () => {
  const source = `import { createEngine, EngineError, type TokenEvent } from 'switchyard'
const engine = await createEngine({ gpuBudgetBytes: 1 })
engine.on('token', (event: TokenEvent) => event.experts.length)
const stream = await engine.chat.completions.create({ messages: [], stream: true })
for await (const chunk of stream) chunk.choices[0].delta.content satisfies string | undefined
// @ts-expect-error: not an option
await engine.completions.create({ prompt: 'x', tempurature: 1 })
export const code: string = new EngineError('busy', '', { hint: '' }).code
`
  writeFileSync(join(app, 'check.ts'), source)
  const tsc = join(rootFolder, 'node_modules', 'typescript', 'lib', 'tsc.js')
  const options = [
    '--noEmit',
    '--strict',
    '--target',
    'es2023',
    '--module',
    'esnext',
    '--moduleResolution',
    'bundler',
  ]
  execFileSync(process.execPath, [tsc, ...options, '--lib', 'es2023,dom', '--types', '', 'check.ts'], {
    cwd: app,
  })
  expect(basename(installed)).toBe('switchyard')
})
