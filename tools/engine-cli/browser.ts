// The headless browser of the command line: flags, adapter choice, one page on a stable origin.
import { existsSync, readdirSync } from 'node:fs'
import { type BrowserContext, chromium, type Page } from 'playwright'
import { browserArguments } from '../setup.mjs'
import type { Job, JobResult, Report } from './job.ts'
import { HARNESS_PATH } from './server.ts'

// IndexedDB belongs to an origin and the server's port changes, so the name and port are mapped.
// Names under .localhost are a secure context, which WebGPU needs.
const ORIGIN = 'http://engine.localhost'

/** Starts the browser at `executablePath` on `profile` with the harness page open; `ORIGIN` leads to `port`. */
export async function openHarness(
  executablePath: string,
  profile: string,
  port: number,
  onReport: (report: Report) => void,
): Promise<{ context: BrowserContext; page: Page }> {
  const context = await chromium.launchPersistentContext(profile, {
    executablePath,
    headless: true,
    handleSIGINT: false,
    handleSIGTERM: false,
    args: [...adapterArguments(), `--host-resolver-rules=MAP engine.localhost:80 127.0.0.1:${port}`],
  })
  const page = context.pages()[0] ?? (await context.newPage())
  page.on('pageerror', (error) => console.error(error.message))
  await page.exposeFunction('report', onReport)
  await page.goto(ORIGIN + HARNESS_PATH)
  return { context, page }
}

/** Runs one job on the harness page. */
export async function runJob(page: Page, job: Job): Promise<JobResult> {
  const crashed = new Promise<never>((_, reject) => {
    page.once('crash', () => reject(new Error('The browser page crashed, most likely out of memory.')))
    page.once('close', () => reject(new Error('The browser was closed.')))
  })
  return await Promise.race([page.evaluate((given) => globalThis.runJob(given), job), crashed])
}

// On Linux without a graphics card Chromium has no adapter unless the software one is asked for.
function adapterArguments(): string[] {
  const all = ['--enable-precise-memory-info', ...browserArguments()]
  if (!hasGraphicsCard()) return all
  return [...all.filter((flag) => !flag.startsWith('--use-webgpu-adapter')), '--ignore-gpu-blocklist']
}

function hasGraphicsCard(): boolean {
  if (process.env['SWITCHYARD_ADAPTER'] === 'software') return false
  if (process.platform !== 'linux') return true
  return existsSync('/dev/dri') && readdirSync('/dev/dri').some((name) => name.startsWith('renderD'))
}
