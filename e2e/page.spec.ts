// The page before any model: the recording, the keyboard, the themes, and files of traces.
import { readFileSync } from 'node:fs'
import AxeBuilder from '@axe-core/playwright'
import { expect, type Page, test } from '@playwright/test'
import { readTranscript } from '../src/app/a11y/transcript.ts'
import { parseTrace } from '../src/engine/trace/trace-file.ts'

interface RecordedToken {
  text: string
}

interface RecordedTrace {
  tokens: RecordedToken[]
  model: { layers: number; experts: number; name: string }
}

const file = readFileSync('public/demo-trace.json', 'utf8')
const recording: RecordedTrace = JSON.parse(file)
const answer = readTranscript(parseTrace(file).tokens).find(({ role }) => role === 'assistant')?.text

const strip = (page: Page) => page.getByRole('listbox', { name: 'Tokens of the run' })
const selected = (page: Page) => strip(page).locator('[aria-selected]')
const layer = (page: Page) => page.getByRole('combobox', { name: 'Layer' })

/** Opens the page at rest: with reduced motion the recording does not play by itself. */
async function openPage(page: Page, address = './'): Promise<void> {
  await page.emulateMedia({ reducedMotion: 'reduce' })
  await page.goto(address)
  await expect(strip(page).getByRole('option')).toHaveCount(recording.tokens.length)
}

async function expectNoSidewaysScroll(page: Page): Promise<void> {
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
  expect(overflow).toBeLessThanOrEqual(0)
}

async function expectAccessible(page: Page): Promise<void> {
  const { violations } = await new AxeBuilder({ page }).analyze()
  expect(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`)).toEqual([])
}

test('markup alone shows title, sentence and the recorded answer', async ({ browser }) => {
  const context = await browser.newContext({ javaScriptEnabled: false })
  const page = await context.newPage()
  await page.goto('./')
  await expect(page.getByRole('heading', { name: 'Switchyard' })).toBeVisible()
  await expect(page.getByText('which experts read every token')).toBeVisible()
  await expect(page.getByText('recorded run')).toBeVisible()
  expect((await page.locator('[data-role="assistant"] p').textContent())?.trim()).toBe(answer)
  await context.close()
})

test('the recording is shown in the real views, and nothing of a model is fetched', async ({ page }) => {
  const requests: string[] = []
  page.on('request', (request) => requests.push(request.url()))
  await openPage(page)
  await expect(page.getByText('recorded run')).toBeVisible()
  await expect(strip(page).getByRole('option')).toHaveCount(recording.tokens.length)
  expect((await page.locator('[data-role="assistant"] p').textContent())?.trim()).toBe(answer)
  await expect(page.getByRole('img', { name: /^Token \d+, .*Layer \d+: expert \d/ })).toBeVisible()
  await expect(page.getByText(/^(WebGPU ready|Software adapter)/)).toBeVisible()
  await expect(page.getByRole('button', { name: 'Download and load' })).toBeEnabled()
  expect(requests.filter((url) => url.includes('/models/'))).toEqual([])
})

test('the recording plays, pauses and replays when motion is welcome', async ({ page }) => {
  await page.emulateMedia({ reducedMotion: 'no-preference' })
  await page.goto('./')
  await page.getByRole('button', { name: 'Pause' }).click()
  const ahead = strip(page).locator('.ahead')
  const before = await ahead.count()
  expect(before).toBeGreaterThan(0)
  await page.getByRole('button', { name: 'Go on' }).click()
  await expect(ahead).toHaveCount(0)
  await expect(page.getByRole('button', { name: 'Replay' })).toBeVisible()
})

test('without WebGPU the page says what to do and the recording stays', async ({ page }) => {
  await page.addInitScript(() => {
    Object.defineProperty(Navigator.prototype, 'gpu', { get: () => undefined })
    // The engine looks in its worker, where no init script reaches: there a first module takes WebGPU away.
    const write = (code: string) => URL.createObjectURL(new Blob([code], { type: 'text/javascript' }))
    const first = write(`Object.defineProperty(WorkerNavigator.prototype, 'gpu', { get: () => undefined })`)
    const Real = Worker
    window.Worker = class extends Real {
      constructor(url: string | URL, options?: WorkerOptions) {
        super(write(`import '${first}'; import '${new URL(url, location.href)}'`), options)
      }
    }
  })
  await openPage(page)
  const box = page.getByRole('region', { name: 'The engine cannot run here' })
  await expect(box.getByText('webgpu-missing')).toBeVisible()
  await expect(box.getByRole('button', { name: 'Copy details' })).toBeVisible()
  await expect(box.getByText('The recorded run below works without it.')).toBeVisible()
  await strip(page).getByRole('option').nth(3).click()
  await expect(selected(page)).toHaveAttribute('data-t', '3')
  await expectAccessible(page)
})

test('the strip is one tab stop: arrows move tokens and layers, Home and End reach the ends', async ({
  page,
}) => {
  await openPage(page, './#layer=0')
  await expect(strip(page).locator('[tabindex="0"]')).toHaveCount(1)
  await selected(page).focus()
  await page.keyboard.press('Home')
  await expect(selected(page)).toHaveAttribute('data-t', '0')
  await expect(selected(page)).toBeFocused()
  await page.keyboard.press('ArrowRight')
  await page.keyboard.press('ArrowRight')
  await page.keyboard.press('ArrowLeft')
  await expect(selected(page)).toHaveAttribute('data-t', '1')
  await page.keyboard.press('ArrowDown')
  await page.keyboard.press('ArrowDown')
  await page.keyboard.press('ArrowUp')
  await expect(layer(page)).toHaveValue('1')
  await expect(page.getByRole('status')).toHaveText(
    /^Layer 1: expert \d+, \d+ percent, high precision, from GPU/,
  )
  await page.keyboard.press('End')
  await expect(selected(page)).toHaveAttribute('data-t', String(recording.tokens.length - 1))
  await page.keyboard.press('Tab')
  await expect(strip(page).locator(':focus')).toHaveCount(0)
})

test('digits turn tabs, letters pick and color, and none of them act while someone types', async ({
  page,
}) => {
  await openPage(page)
  await page.keyboard.press('2')
  await expect(page.getByRole('tab', { name: 'Experts' })).toHaveAttribute('aria-selected', 'true')
  await page.keyboard.press('e')
  await expect(page.getByRole('combobox', { name: 'Expert', exact: true })).not.toHaveValue('')
  await page.keyboard.press('c')
  await expect(page.getByLabel('Color by')).toHaveValue('weight')
  await page.keyboard.press('c')
  await page.keyboard.press('e')
  await expect(page.getByRole('combobox', { name: 'Expert', exact: true })).toHaveValue('')
  await page.keyboard.press('?')
  await expect(page.getByRole('dialog', { name: 'Keys' })).toBeVisible()
  await page.keyboard.press('Escape')
  await expect(page.getByRole('dialog')).toHaveCount(0)
  await page.getByLabel('Your message').focus()
  await page.keyboard.type('1ec?')
  await expect(page.getByLabel('Your message')).toHaveValue('1ec?')
  await expect(page.getByRole('tab', { name: 'Experts' })).toHaveAttribute('aria-selected', 'true')
  await expect(page.getByRole('combobox', { name: 'Expert', exact: true })).toHaveValue('')
})

test('arrows move between tabs, and the choice is in the address', async ({ page }) => {
  await openPage(page, './#layer=5&tab=experts&expert=3')
  await expect(layer(page)).toHaveValue('5')
  await page.getByRole('tab', { name: 'Experts' }).focus()
  await page.keyboard.press('ArrowRight')
  await expect(page.getByRole('tab', { name: 'Run' })).toBeFocused()
  await expect(page.getByText(recording.model.name).first()).toBeVisible()
  await expect.poll(() => page.evaluate(() => location.hash)).toBe('#layer=5&tab=run&expert=3')
})

test('an expert lights up the tokens that chose it, as many as its row says', async ({ page }) => {
  await openPage(page, './#layer=12&tab=experts')
  const row = page.getByRole('row').filter({ has: page.getByRole('button', { name: /^Expert 2:/ }) })
  const count = await row.getByRole('cell').last().textContent()
  await row.getByRole('button').click()
  await expect(strip(page).locator('.lit')).toHaveCount(Number(count))
  await expect(page.getByText(/\d of 8 silent\. The dashed line is even use\./)).toBeVisible()
  await page.getByLabel('Sort by').selectOption('use')
  const shares = await page.locator('.use td:last-child').allTextContents()
  expect(shares.map(Number)).toEqual(shares.map(Number).sort((a, b) => b - a))
})

test('every token can be read as a table of all layers', async ({ page }) => {
  await openPage(page)
  await page.getByRole('button', { name: 'Show all layers as a table' }).click()
  const table = page.getByRole('table', { name: /^All layers of/ })
  await expect(table.getByRole('row')).toHaveCount(recording.model.layers + 1)
})

for (const colorScheme of ['light', 'dark'] as const) {
  test(`every view passes axe in ${colorScheme}`, async ({ page }) => {
    await page.emulateMedia({ colorScheme })
    await openPage(page)
    await expect(page.getByText(/^(WebGPU ready|Software adapter)/)).toBeVisible()
    for (const tab of ['Token', 'Experts', 'Run']) {
      await page.getByRole('tab', { name: tab }).click()
      await expectAccessible(page)
    }
    await page.getByText('Settings', { exact: true }).click()
    await page.getByText('Other models').click()
    await page.keyboard.press('c')
    await expectAccessible(page)
    await page.getByRole('button', { name: 'Keys' }).click()
    await expectAccessible(page)
  })

  test(`text on the eight hues has contrast of at least 7 in ${colorScheme}`, async ({ page }) => {
    await page.emulateMedia({ colorScheme })
    await openPage(page)
    const ratios = await page.evaluate(() => {
      const context = document.createElement('canvas').getContext('2d', { willReadFrequently: true })
      if (context === null) throw new Error('no canvas')
      const luminance = (color: string): number => {
        context.fillStyle = color
        context.fillRect(0, 0, 1, 1)
        const parts = [...context.getImageData(0, 0, 1, 1).data].slice(0, 3).map((part) => {
          const share = part / 255
          return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4
        })
        return 0.2126 * (parts[0] ?? 0) + 0.7152 * (parts[1] ?? 0) + 0.0722 * (parts[2] ?? 0)
      }
      const host = document.querySelector('[role=listbox]')
      return Array.from({ length: 8 }, (_, hue) => {
        const token = document.createElement('span')
        token.className = `tok h${hue}`
        host?.append(token)
        const { color, backgroundColor } = getComputedStyle(token)
        const [low = 0, high = 0] = [luminance(color), luminance(backgroundColor)].sort((a, b) => a - b)
        token.remove()
        return (high + 0.05) / (low + 0.05)
      })
    })
    expect(Math.min(...ratios)).toBeGreaterThanOrEqual(7)
  })
}

test('nothing scrolls sideways at 360 pixels, and targets are large enough', async ({ page }) => {
  await page.setViewportSize({ width: 360, height: 740 })
  await openPage(page)
  await page.getByText('Settings', { exact: true }).click()
  await page.getByText('Other models').click()
  for (const tab of ['Token', 'Experts', 'Run']) {
    await page.getByRole('tab', { name: tab }).click()
    await expectNoSidewaysScroll(page)
  }
  await page.getByRole('tab', { name: 'Token' }).click()
  await page.getByRole('button', { name: 'Show all layers as a table' }).click()
  await expectNoSidewaysScroll(page)
  const boxes = await page.locator('button:visible, select:visible, summary:visible').evaluateAll((targets) =>
    targets.map((target) => {
      const { width, height } = target.getBoundingClientRect()
      return { name: target.textContent, size: Math.min(width, height), isMain: target.matches('.main') }
    }),
  )
  expect(boxes.length).toBeGreaterThan(8)
  expect(boxes.filter(({ size, isMain }) => size < (isMain ? 44 : 24))).toEqual([])
})

test('the theme switch overrides the system and is remembered', async ({ page }) => {
  await page.emulateMedia({ colorScheme: 'light' })
  await openPage(page)
  const background = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor)
  const light = await background()
  await page.getByLabel('Theme').selectOption('dark')
  expect(await background()).not.toBe(light)
  await page.reload()
  await expect(page.getByLabel('Theme')).toHaveValue('dark')
  expect(await background()).not.toBe(light)
})

async function saveTrace(page: Page, choice: 'With text' | 'Without text'): Promise<string> {
  await page.getByRole('tab', { name: 'Run' }).click()
  await page.getByRole('button', { name: 'Save trace…' }).click()
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('dialog', { name: 'Save this trace' }).getByRole('button', { name: choice }).click(),
  ])
  expect(download.suggestedFilename()).toMatch(/\.moe-trace\.json$/)
  return readFileSync(await download.path(), 'utf8')
}

async function openTrace(page: Page, text: string): Promise<void> {
  await page.getByRole('tab', { name: 'Run' }).click()
  const file = { name: 'run.json', mimeType: 'application/json', buffer: Buffer.from(text) }
  await page.getByLabel('Open a trace').setInputFiles(file)
}

test('a saved trace opens again as the same run', async ({ page }) => {
  await openPage(page)
  const saved = await saveTrace(page, 'With text')
  const picture = await strip(page).textContent()
  await page.reload()
  await openTrace(page, saved)
  await expect(page.getByText('opened trace').first()).toBeVisible()
  await expect(strip(page).getByRole('option')).toHaveCount(recording.tokens.length)
  expect(await strip(page).textContent()).toBe(picture)
  expect(await saveTrace(page, 'With text')).toBe(saved)
})

test('a trace saved without text holds neither text nor ids, and its routing still opens', async ({
  page,
}) => {
  await openPage(page)
  const saved = JSON.parse(await saveTrace(page, 'Without text'))
  expect(saved.tokens.filter((token: object) => 'text' in token || 'id' in token)).toEqual([])
  await openTrace(page, JSON.stringify(saved))
  await expect(strip(page).locator('[data-kind="withheld"]')).toHaveCount(recording.tokens.length)
  await expect(page.getByText('Nothing was said yet.')).toBeVisible()
})

test('markup inside a trace is shown as text', async ({ page }) => {
  await openPage(page)
  const markup = '<img src=x onerror=window.broken=1>'
  const trace: RecordedTrace = structuredClone(recording)
  trace.model.name = markup
  for (const token of trace.tokens) token.text = markup
  await openTrace(page, JSON.stringify(trace))
  await expect(strip(page).getByText(markup).first()).toBeVisible()
  await expect(page.getByRole('definition').filter({ hasText: markup })).toBeVisible()
  await page.getByRole('tab', { name: 'Token' }).click()
  await expect(page.getByRole('heading', { name: markup })).toBeVisible()
  expect(await page.locator('#app img').count()).toBe(0)
  expect(await page.evaluate(() => 'broken' in window)).toBe(false)
})

test('a file that is no trace is refused with a reason, and the run stays', async ({ page }) => {
  await openPage(page)
  await openTrace(page, '{"format":"moe-trace","version":2}')
  await expect(page.getByRole('alert')).toContainText('The trace is not valid at version')
  await expect(page.getByRole('alert')).toContainText('bad-request')
  await expect(strip(page).getByRole('option')).toHaveCount(recording.tokens.length)
})
