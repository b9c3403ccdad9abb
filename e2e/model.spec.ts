// A person with a model: a tiny one from files, and the default one from its first byte to its deletion.
import AxeBuilder from '@axe-core/playwright'
import { expect, type Page, test } from '@playwright/test'
import { makeTinyModel, type TinyModelOptions } from '../test/fixtures/tiny-model.ts'

const log = (page: Page) => page.getByRole('log', { name: 'Messages' })
const strip = (page: Page) => page.getByRole('listbox', { name: 'Tokens of the run' })
const usage = (page: Page) => page.getByText(/^prefill .* decode .* first token/)
const unload = (page: Page) => page.getByRole('button', { name: 'Unload' })

async function openPage(page: Page): Promise<void> {
  await page.emulateMedia({ reducedMotion: 'reduce' })
  await page.goto('./')
  await expect(page.getByText(/^(WebGPU ready|Software adapter)/)).toBeVisible()
}

async function chooseFiles(page: Page, options: TinyModelOptions, cut = 0): Promise<void> {
  const { files } = makeTinyModel(options)
  const buffers = await Promise.all(
    files.map(async (file) => ({
      name: file.name,
      mimeType: 'application/octet-stream',
      buffer: Buffer.from(await file.arrayBuffer()).subarray(0, file.size - cut),
    })),
  )
  await page.getByText('Other models').click()
  await page.getByLabel(/^Open \.gguf files/).setInputFiles(buffers)
}

async function setSampling(page: Page, maxTokens: number): Promise<void> {
  await page.getByText('Settings', { exact: true }).click()
  await page.getByLabel('Temperature').fill('0')
  await page.getByLabel('Max tokens').fill(String(maxTokens))
}

async function ask(page: Page, text: string): Promise<void> {
  await page.getByLabel('Your message').fill(text)
  await page.keyboard.press('Control+Enter')
}

/** No finding of axe in either theme, and nothing to scroll sideways on a narrow screen. */
async function expectAccessible(page: Page): Promise<void> {
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme })
    const { violations } = await new AxeBuilder({ page }).analyze()
    expect(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`)).toEqual([])
  }
  const size = page.viewportSize() ?? { width: 1280, height: 720 }
  await page.setViewportSize({ width: 360, height: 740 })
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360)
  await page.setViewportSize(size)
  await page.emulateMedia({ colorScheme: null })
}

test('a model from files answers, reuses its context, and stays until it is deleted', async ({ page }) => {
  await openPage(page)
  await chooseFiles(page, { shards: 2, name: 'Tiny' })
  await expect(unload(page)).toBeVisible()
  await expect(page.getByRole('heading', { name: 'Tiny' })).toBeVisible()
  await setSampling(page, 6)
  await ask(page, 'hello')
  await expect(usage(page)).toBeVisible()
  await expect(usage(page)).not.toContainText('reused')
  await expect(strip(page).getByRole('option')).not.toHaveCount(0)
  await expect(page.getByRole('img', { name: /^Token \d+, .*Layer \d: expert \d/ })).toBeVisible()
  const first = await strip(page).getByRole('option').count()
  await ask(page, 'more')
  await expect(usage(page)).toContainText('reused')
  expect(await strip(page).getByRole('option').count()).toBeGreaterThan(first)
  await unload(page).click()
  await page.reload()
  await page.getByText('Other models').click()
  const row = page.getByRole('listitem').filter({ hasText: 'Tiny' })
  await row.getByRole('button', { name: 'Delete…' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click()
  await expect(row).toHaveCount(0)
  await expect(page.getByRole('alert')).toHaveCount(0)
})

test('a model that names itself in markup is shown by that name as text', async ({ page }) => {
  const name = '<img src=x onerror=window.broken=1>'
  await openPage(page)
  await chooseFiles(page, { name })
  await expect(page.getByRole('heading', { name })).toBeVisible()
  expect(await page.locator('#app img').count()).toBe(0)
  expect(await page.evaluate(() => 'broken' in window)).toBe(false)
})

test('a file that is cut short is refused beside the model, with code and numbers', async ({ page }) => {
  await openPage(page)
  await chooseFiles(page, {}, 4000)
  const alert = page.getByRole('alert')
  await expect(alert).toContainText(/model-(format|corrupt)/)
  await expect(alert).toContainText(/\d/)
  await expect(page.getByRole('button', { name: 'Download and load' })).toBeEnabled()
})

test('the default model, by keyboard alone: consent, load, chat, stop, reload without network, delete', async ({
  page,
}) => {
  const fetched: string[] = []
  page.on('request', (request) => {
    if (request.url().includes('/models/')) fetched.push(request.url())
  })
  const button = (name: string) => page.getByRole('button', { name, exact: true })
  const reach = async (name: string) => {
    await button(name).focus()
    await page.keyboard.press('Enter')
  }
  await openPage(page)
  await page.keyboard.press('Tab')
  await expect(page.getByRole('link', { name: 'Skip to the message' })).toBeFocused()
  for (let stop = 0; stop < 3; stop++) await page.keyboard.press('Tab')
  await expect(button('Download and load')).toBeFocused()
  expect(fetched).toEqual([])
  await page.keyboard.press('Enter')
  await expect(page.getByRole('progressbar', { name: 'Loading the model' })).toBeVisible()
  await expect(button('Stop').first()).toBeFocused()
  await expect(unload(page)).toBeVisible({ timeout: 180_000 })
  await expect(page.getByLabel('Your message')).toBeFocused()
  expect(new Set(fetched.map((url) => url.split('/').at(-1)))).toHaveProperty('size', 4)

  await setSampling(page, 12)
  await page.getByLabel('Your message').focus()
  await page.keyboard.type('What is the capital of France?')
  await page.keyboard.press('Tab')
  await page.keyboard.press('Enter')
  await expect(log(page)).toHaveAttribute('aria-busy', 'true')
  await expect(button('Run')).toBeDisabled()
  await expect(button('Run')).toBeFocused()
  await expect(log(page)).toContainText('Paris', { timeout: 180_000 })
  await expect(usage(page)).toBeVisible({ timeout: 60_000 })
  await expect(page.getByRole('status')).toHaveText(/^Done\. \d+ tokens/)
  await expect(button('Run')).toBeFocused()
  await expectAccessible(page)

  await page.getByLabel('Max tokens').fill('300')
  await page.getByLabel('Your message').focus()
  await page.keyboard.type('Tell me about it.')
  await page.keyboard.press('Control+Enter')
  await expect(page.getByText(/^\d+ tokens?( · |$)/)).toBeVisible({ timeout: 180_000 })
  await page.keyboard.press('Tab')
  await page.keyboard.press('Tab')
  await expect(button('Stop')).toBeFocused()
  await page.keyboard.press('Enter')
  await expect(log(page)).toHaveAttribute('aria-busy', 'false')
  await expect(page.getByText(/stopped$/)).toBeVisible()
  await expect(button('Stop')).toBeFocused()

  await page.route('**/models/**', (route) => route.abort())
  await page.reload()
  await expect(page.getByText(/^Ready from this device, 1\d\d\.\d MB\.$/)).toBeVisible()
  const before = fetched.length
  await reach('Load')
  await expect(unload(page)).toBeVisible({ timeout: 120_000 })
  expect(fetched.length).toBe(before)

  await reach('Delete…')
  await expect(page.getByRole('dialog').getByRole('button', { name: 'Keep' })).toBeFocused()
  await page.keyboard.press('Tab')
  await page.keyboard.press('Enter')
  await expect(button('Download and load')).toBeEnabled()
  await expect(button('Download and load')).toBeFocused()
})
