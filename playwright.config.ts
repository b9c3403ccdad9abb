import { defineConfig } from '@playwright/test'
import { browserArguments, findBrowser } from './tools/setup.mjs'

const port = 4179
const executablePath = findBrowser()

export default defineConfig({
  testDir: 'e2e',
  testMatch: '*.spec.ts',
  outputDir: 'test-results/e2e',
  workers: 1,
  forbidOnly: Boolean(process.env['CI']),
  // The software adapter is slow: importing and loading the default model takes most of a minute.
  timeout: 300_000,
  expect: { timeout: 30_000 },
  use: {
    baseURL: `http://localhost:${port}/`,
    launchOptions: { ...(executablePath === undefined ? {} : { executablePath }), args: browserArguments() },
    trace: 'off',
  },
  projects: [{ name: 'chromium', use: { browserName: 'chromium' } }],
  webServer: {
    command: `npx vite build --logLevel warn && npx vite preview --outDir dist-site --port ${port} --strictPort`,
    url: `http://localhost:${port}/`,
    timeout: 120_000,
  },
})
