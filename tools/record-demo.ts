// Records the first screen's run with the page itself and the default model: public/demo-trace.json, and its text
// between the marks of index.html. Run from the repository's folder: npx tsx tools/record-demo.ts
import { readFileSync, writeFileSync } from 'node:fs'
import { chromium, type Page } from 'playwright'
import { createServer } from 'vite'
import { browserArguments, findBrowser } from './setup.mjs'

const PROMPT = process.argv[2] ?? 'Write a Python function that checks whether a number is prime.'
const MAX_TOKENS = process.argv[3] ?? '180'

const server = await createServer({
  configFile: 'vite.config.ts',
  server: { port: 0, hmr: false, watch: null },
})
await server.listen()
const address = server.resolvedUrls?.local[0]
if (address === undefined) throw new Error('The development server has no address.')
const executablePath = findBrowser()
const browser = await chromium.launch({
  ...(executablePath === undefined ? {} : { executablePath }),
  args: browserArguments(),
})
try {
  const page = await browser.newPage()
  page.setDefaultTimeout(1_800_000)
  await page.goto(address)
  await page.getByRole('button', { name: 'Download and load' }).click()
  await page.getByRole('button', { name: 'Unload' }).waitFor()
  await page.getByText('Settings', { exact: true }).click()
  await page.getByLabel('Temperature').fill('0')
  await page.getByLabel('Repetition penalty').fill('1')
  await page.getByLabel('Max tokens').fill(MAX_TOKENS)
  await page.getByLabel('Your message').fill(PROMPT)
  await page.getByRole('button', { name: 'Run', exact: true }).click()
  await page.getByText(/^prefill .* decode /).waitFor()
  await save(page)
} finally {
  await browser.close()
  await server.close()
}

async function save(page: Page): Promise<void> {
  await page.getByRole('tab', { name: 'Run' }).click()
  await page.getByRole('button', { name: 'Save trace…' }).click()
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: 'With text' }).click(),
  ])
  await download.saveAs('public/demo-trace.json')
  const answer = await page.locator('.message[data-role="assistant"] p').textContent()
  const html = readFileSync('index.html', 'utf8')
  const messages = [
    writeMessage('user', 'You', PROMPT),
    writeMessage('assistant', 'Model', (answer ?? '').trim()),
  ]
  const text = `<!-- recorded run: begin -->\n${messages.join('')}              <!-- recorded run: end -->`
  writeFileSync(
    'index.html',
    html.replace(/<!-- recorded run: begin -->[\s\S]*<!-- recorded run: end -->/, () => text),
  )
  console.log(`Recorded ${answer?.length ?? 0} characters.`)
}

function writeMessage(role: string, name: string, text: string): string {
  const escaped = text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
  const indent = '              '
  return `${indent}<div class="message" data-role="${role}">\n${indent}  <h3>${name}</h3>\n${indent}  <p>${escaped}</p>\n${indent}</div>\n`
}
