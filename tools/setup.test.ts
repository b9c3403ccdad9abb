import { afterEach, expect, test, vi } from 'vitest'
import { browserArguments, findBrowser, nodeComplaint } from './setup.mjs'

afterEach(() => vi.unstubAllEnvs())

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

test('browserArguments ask for the software adapter', () => {
  expect(browserArguments()).toContain('--use-webgpu-adapter=swiftshader')
})
