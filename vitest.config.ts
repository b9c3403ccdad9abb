import { playwright } from '@vitest/browser-playwright'
import { defineConfig } from 'vitest/config'
import { browserArguments, findBrowser } from './tools/setup.mjs'
import { wgslPlugin } from './tools/wgsl-plugin.ts'

const executablePath = findBrowser()
// Browser tests see only variables with this prefix.
if (process.env['SWITCHYARD_FULL'] === '1') process.env['VITE_SWITCHYARD_FULL'] = '1'

const browser = {
  enabled: true,
  headless: true,
  screenshotFailures: false,
  provider: playwright({
    launchOptions: { ...(executablePath === undefined ? {} : { executablePath }), args: browserArguments() },
  }),
  instances: [{ browser: 'chromium' as const }],
}

export default defineConfig({
  plugins: [wgslPlugin()],
  test: {
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          environment: 'node',
          // Generous: a loaded two-core machine is no reason to fail.
          testTimeout: 60_000,
          include: ['src/**/*.test.ts', 'test/**/*.test.ts', 'tools/**/*.test.ts'],
          exclude: ['**/*.gpu.test.ts', '**/*.golden.test.ts'],
        },
      },
      {
        extends: true,
        test: {
          name: 'gpu',
          include: ['src/**/*.gpu.test.ts', 'test/**/*.gpu.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          fileParallelism: false,
          browser,
        },
      },
      {
        extends: true,
        test: {
          name: 'golden',
          include: ['test/golden/*.golden.test.ts'],
          testTimeout: 1_800_000,
          hookTimeout: 600_000,
          fileParallelism: false,
          browser,
        },
      },
    ],
  },
})
