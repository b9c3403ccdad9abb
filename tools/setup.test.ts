import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { afterAll, afterEach, expect, test, vi } from 'vitest'
import { browserArguments, findBrowser, nodeComplaint, prepareBrowser } from './setup.mjs'

const folder = mkdtempSync(join(tmpdir(), 'switchyard-'))

afterEach(() => vi.unstubAllEnvs())
afterAll(() => rmSync(folder, { recursive: true }))

function writeScript(place: string, content: string): string {
  mkdirSync(join(folder, place))
  const path = join(folder, place, 'chromium')
  writeFileSync(path, `#!/bin/sh\n${content}\n`, { mode: 0o755 })
  return path
}

test('nodeComplaint accepts the oldest version and later ones', () => {
  for (const version of ['20.19.0', '20.20.2', '22.0.0', '101.0.0'])
    expect(nodeComplaint(version)).toBeUndefined()
})

test('nodeComplaint names both versions for an older one', () => {
  for (const version of ['20.18.3', '18.20.0', '9.0.0']) {
    expect(nodeComplaint(version)).toContain('20.19')
    expect(nodeComplaint(version)).toContain(version)
  }
})

test('findBrowser prefers the named browser to everything it could find', () => {
  vi.stubEnv('SWITCHYARD_BROWSER', '/opt/my/chrome')
  expect(findBrowser()).toBe('/opt/my/chrome')
})

test('findBrowser passes over a script that only says how to get a browser', () => {
  vi.stubEnv('SWITCHYARD_BROWSER', '')
  writeScript('stub', 'echo "install it first" >&2; exit 1')
  const works = writeScript('works', '[ "$1" = --version ]')
  vi.stubEnv('PATH', ['stub', 'works'].map((place) => join(folder, place)).join(delimiter))
  expect(findBrowser()).toBe(works)
})

test('prepareBrowser has none when the named one does not start', async () => {
  vi.stubEnv('SWITCHYARD_BROWSER', join(folder, 'nowhere', 'chrome'))
  expect(await prepareBrowser()).toBeUndefined()
})

test('browserArguments ask for the software adapter', () => {
  expect(browserArguments()).toContain('--use-webgpu-adapter=swiftshader')
})
