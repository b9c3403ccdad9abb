// States of the page that a real engine reaches rarely or slowly, on the engine's interface without an engine.
import AxeBuilder from '@axe-core/playwright'
import { expect, type Page, test } from '@playwright/test'
import { createServer, type ViteDevServer } from 'vite'

let server: ViteDevServer
let address: string

test.beforeAll(async ({ browser }) => {
  server = await createServer({ configFile: 'vite.config.ts', server: { port: 0, hmr: false, watch: null } })
  await server.listen()
  address = `${server.resolvedUrls?.local[0]}e2e/dev/index.html`
  // The server prepares packages at the first visit, and may reload the page then.
  const page = await browser.newPage()
  await page.goto(address)
  await page.getByRole('button', { name: 'Download and load' }).waitFor()
  await page.close()
})

test.afterAll(async () => {
  await server.close()
})

const log = (page: Page) => page.getByRole('log', { name: 'Messages' })
const strip = (page: Page) => page.getByRole('listbox', { name: 'Tokens of the run' })
const run = (page: Page) => page.getByRole('button', { name: 'Run', exact: true })
const usage = (page: Page) => page.getByText(/^prefill .* decode .* first token/)

async function openPage(page: Page, query: string): Promise<void> {
  await page.emulateMedia({ reducedMotion: 'reduce' })
  await page.goto(`${address}?${query}`)
  await expect(page.getByText(/^(WebGPU ready|Software adapter|No engine)/)).toBeVisible()
}

async function loadModel(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Load', exact: true }).click()
  await expect(page.getByRole('button', { name: 'Unload' })).toBeVisible()
}

async function ask(page: Page, text: string): Promise<void> {
  await page.getByLabel('Your message').fill(text)
  await run(page).click()
}

async function expectAccessible(page: Page): Promise<void> {
  const { violations } = await new AxeBuilder({ page }).analyze()
  expect(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`)).toEqual([])
}

test('loading shows stages, bytes, rate and time left, and Stop keeps what is stored', async ({ page }) => {
  await openPage(page, 'steps=40')
  await page.getByRole('button', { name: 'Download and load' }).click()
  const bar = page.getByRole('progressbar', { name: 'Loading the model' })
  await expect(bar).toHaveAttribute('aria-valuetext', /^Store, \d+ %$/)
  await expect(page.getByRole('listitem').filter({ hasText: 'Store' })).toHaveAttribute(
    'aria-current',
    'step',
  )
  await expect(page.getByText(/\d+ % · .* of 110\.7 MB · 14\.2 MB\/s · .* left$/)).toBeVisible()
  await expectAccessible(page)
  await page.getByRole('button', { name: 'Stop' }).first().click()
  await expect(page.getByText('What was stored is kept; loading again goes on from there.')).toBeVisible()
  await expect(page.getByRole('button', { name: 'Download and load' })).toBeFocused()
  await expect(page.getByRole('alert')).toHaveCount(0)
})

test('a refusal for space stands where the load was started, with numbers, hint and code', async ({
  page,
}) => {
  await openPage(page, 'fail=quota')
  await page.getByRole('button', { name: 'Download and load' }).click()
  const box = page.getByRole('region', { name: /SmolLM2/ }).getByRole('alert')
  await expect(box).toContainText('The model needs 112 MB; the browser allows 38 MB more here.')
  await expect(box).toContainText('Delete other models')
  await expect(box).toContainText('storage-quota')
  await expectAccessible(page)
  await box.getByRole('button', { name: 'Dismiss' }).click()
  await expect(page.getByRole('button', { name: 'Download and load' })).toBeEnabled()
})

test('the details of an error can be copied', async ({ page, context }) => {
  await context.grantPermissions(['clipboard-read', 'clipboard-write'])
  await openPage(page, 'device=missing')
  await page.getByRole('button', { name: 'Copy details' }).click()
  await expect(page.getByRole('button', { name: 'Copied' })).toBeVisible()
  const report = JSON.parse(await page.evaluate(() => navigator.clipboard.readText()))
  expect(report).toMatchObject({ code: 'webgpu-missing', message: 'This browser has no WebGPU.' })
})

test('a software adapter is named and said to be slow', async ({ page }) => {
  await openPage(page, 'device=software')
  await expect(page.getByText('Software adapter (google swiftshader): works, slowly')).toBeVisible()
})

test('an answer streams into a busy log, tokens are colored as they come, and the end is announced', async ({
  page,
}) => {
  await openPage(page, 'stored&steps=1')
  await loadModel(page)
  await page.getByLabel('Your message').fill('Tell me about the Seine.')
  await page.keyboard.press('Control+Enter')
  await expect(log(page)).toHaveAttribute('aria-busy', 'true')
  await expect(log(page)).toContainText('The river')
  await expect(strip(page).locator('[data-phase="prefill"].tok')).not.toHaveCount(0)
  await expect(usage(page)).toContainText('prefill 21.3 tok/s · decode 11.1 tok/s · first token 1.92 s')
  await expect(usage(page)).toContainText('24 reused')
  await expect(log(page)).toHaveAttribute('aria-busy', 'false')
  await expect(log(page)).toContainText('the names of kings, of battles and of saints.')
  await expect(page.getByRole('status')).toHaveText(/^Done\. \d+ tokens, 11\.1 a second\.$/)
  await expect(page.getByText('live', { exact: true })).toBeVisible()
  await expectAccessible(page)
  await ask(page, 'And the Loire?')
  await expect(log(page)).toContainText('Tell me about the Seine.')
  await expect(strip(page).getByText('Loire')).toBeVisible()
  await page.getByRole('button', { name: 'New chat' }).click()
  await expect(page.getByText('Nothing was said yet.')).toBeVisible()
})

test('Esc stops an answer and keeps what was said', async ({ page }) => {
  await openPage(page, 'stored&steps=1')
  await loadModel(page)
  await ask(page, 'Tell me about the Seine.')
  await expect(log(page)).toContainText('The river')
  await page.keyboard.press('Escape')
  await expect(page.getByText('stopped', { exact: true })).toBeVisible()
  await expect(log(page)).toContainText('The river')
  await expect(log(page)).toHaveAttribute('aria-busy', 'false')
  await page.getByLabel('Your message').fill('Again')
  await expect(run(page)).toBeEnabled()
})

test('a message that was never answered comes back to be sent again', async ({ page }) => {
  await openPage(page, 'stored&steps=1&hold')
  await loadModel(page)
  await ask(page, 'Tell me about the Seine.')
  await page.getByRole('button', { name: 'Stop', exact: true }).click()
  await expect(page.getByLabel('Your message')).toHaveValue('Tell me about the Seine.')
  await expect(log(page)).not.toContainText('Seine')
  await expect(page.getByRole('button', { name: 'Stop', exact: true })).toBeFocused()
})

test('a setting outside its bounds is refused where it stands, before anything runs', async ({ page }) => {
  await openPage(page, 'stored&steps=1')
  await loadModel(page)
  await page.getByText('Settings', { exact: true }).click()
  await page.getByLabel('Temperature').fill('9')
  await page.getByText('Settings', { exact: true }).click()
  await ask(page, 'Hello')
  await expect(page.getByLabel('Temperature')).toBeVisible()
  expect(
    await page.getByLabel('Temperature').evaluate((field: HTMLInputElement) => field.validity.rangeOverflow),
  ).toBe(true)
  await expect(log(page)).not.toContainText('Hello')
})

test('a lost device is a banner, the words stay, and Start again loads anew', async ({ page }) => {
  await openPage(page, 'stored&steps=4&lose')
  await loadModel(page)
  await ask(page, 'Tell me about the Seine.')
  const banner = page.getByRole('alert')
  await expect(banner).toContainText('The graphics device was lost.')
  await expect(banner).toHaveCount(1)
  await expect(log(page)).toContainText('The river')
  await expectAccessible(page)
  await banner.getByRole('button', { name: 'Start again' }).click()
  await expect(page.getByRole('progressbar')).toBeVisible()
  await expect(page.getByRole('button', { name: 'Unload' })).toBeVisible()
  await expect(page.getByRole('alert')).toHaveCount(0)
})

test('deleting asks first, and Keep keeps', async ({ page }) => {
  await openPage(page, 'stored')
  await expect(page.getByText('Ready from this device, 112.1 MB.')).toBeVisible()
  await page.getByRole('button', { name: 'Delete…' }).click()
  await expectAccessible(page)
  await page.getByRole('dialog').getByRole('button', { name: 'Keep' }).click()
  await expect(page.getByRole('button', { name: 'Load', exact: true })).toBeVisible()
  await page.getByRole('button', { name: 'Delete…' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click()
  await expect(page.getByRole('button', { name: 'Download and load' })).toBeVisible()
})

test('a trace can be opened beside a conversation, and the conversation comes back', async ({ page }) => {
  await openPage(page, 'stored&steps=1')
  await loadModel(page)
  await ask(page, 'Tell me about the Seine.')
  await expect(usage(page)).toBeVisible()
  await page.getByRole('tab', { name: 'Run' }).click()
  await page.getByRole('button', { name: 'Save trace…' }).click()
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: 'Without text' }).click(),
  ])
  await page.getByLabel('Open a trace').setInputFiles(await download.path())
  await expect(page.getByText('opened trace')).toBeVisible()
  await expect(log(page)).toContainText('Tell me about the Seine.')
  await page.getByRole('button', { name: 'Back to live' }).click()
  await expect(strip(page).getByText('Seine').first()).toBeVisible()
})

/** The longest tasks of page threads in a trace, in milliseconds of their own time, which a busy machine does not lengthen. */
function longestTasks(trace: Buffer): number[] {
  interface TraceEvent {
    name: string
    tid: number
    tdur?: number
    args?: { name?: string }
  }
  const { traceEvents } = JSON.parse(trace.toString()) as { traceEvents: TraceEvent[] }
  const threads = traceEvents
    .filter(({ name, args }) => name === 'thread_name' && args?.name === 'CrRendererMain')
    .map(({ tid }) => tid)
  const tasks = traceEvents.filter(({ name, tid }) => name === 'RunTask' && threads.includes(tid))
  expect(tasks.length).toBeGreaterThan(100)
  return tasks.map(({ tdur = 0 }) => tdur / 1000).sort((a, b) => b - a)
}

test('a long prompt is written in steps of less than 50 milliseconds', async ({ page, browser }) => {
  await openPage(page, 'stored&steps=1')
  await loadModel(page)
  await page.getByLabel('Your message').evaluate((field: HTMLTextAreaElement) => {
    field.value = 'The mills of the valley turn. '.repeat(250)
    field.dispatchEvent(new InputEvent('input', { bubbles: true }))
  })
  await browser.startTracing(page, { categories: ['toplevel', 'disabled-by-default-devtools.timeline'] })
  await run(page).click()
  // A locator would search the whole page again and again, on the very thread that is measured.
  await page.waitForFunction(() => document.querySelector('.usage')?.textContent?.startsWith('prefill'))
  const tasks = longestTasks(await browser.stopTracing())
  expect(await strip(page).getByRole('option').count()).toBeGreaterThan(1500)
  expect(tasks.slice(0, 5).filter((ms) => ms > 50)).toEqual([])
})
