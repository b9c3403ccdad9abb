// What every entry script needs before node_modules exists: Node's version, packages, a browser.
// Plain JavaScript for Node 20; it must import nothing outside Node.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { homedir, platform } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The repository's folder. */
export const rootFolder = fileURLToPath(new URL('..', import.meta.url))

const OLDEST_NODE = [20, 19]
const PROBE_LIMIT_MS = 30_000
const INSTALL_LIMIT_MS = 600_000

/** The sentence for a Node that is too old, or undefined. @param {string} version like `20.19.0` */
export function nodeComplaint(version) {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const [oldestMajor = 0, oldestMinor = 0] = OLDEST_NODE
  if (major > oldestMajor || (major === oldestMajor && minor >= oldestMinor)) return undefined
  return `Switchyard needs Node ${OLDEST_NODE.join('.')} or newer; this is Node ${version}. Install a newer one from https://nodejs.org and run the command again.`
}

/** Leaves with a sentence when Node is too old. */
export function requireNode() {
  const complaint = nodeComplaint(process.versions.node)
  if (complaint === undefined) return
  console.error(complaint)
  process.exit(1)
}

/** Installs the packages of the lockfile when node_modules is missing or older than it. */
export function installPackages() {
  const lock = join(rootFolder, 'package-lock.json')
  const marker = join(rootFolder, 'node_modules', '.package-lock.json')
  if (existsSync(marker) && statSync(marker).mtimeMs >= statSync(lock).mtimeMs) return
  if (existsSync(marker) && sameLock(lock, marker)) return
  console.error('Installing packages…')
  // `npm ci` refuses a lockfile that lacks optional packages of other platforms, which some registries do
  // not have; a plain install takes the same versions and leaves the lockfile as it is.
  // NODE_ENV=production would leave out the packages that everything here needs.
  if (npm('ci', '--include=dev') || npm('install', '--no-save', '--include=dev')) return
  console.error('npm could not install the packages. Its messages are above; nothing was started.')
  process.exit(1)
}

/** @param {string[]} args */
function npm(...args) {
  const options = { cwd: rootFolder, shell: platform() === 'win32' }
  return (
    spawnSync('npm', [...args, '--no-audit', '--no-fund'], { ...options, stdio: ['ignore', 2, 2] }).status ===
    0
  )
}

// A checkout touches the lockfile's time without changing it, so the packages it names decide.
/** @param {string} lock @param {string} marker */
function sameLock(lock, marker) {
  const wanted = JSON.parse(readFileSync(lock, 'utf8')).packages
  const present = JSON.parse(readFileSync(marker, 'utf8')).packages
  return Object.entries(wanted).every(
    ([path, entry]) => path === '' || entry.optional || present[path]?.version === entry.version,
  )
}

/**
 * Path of a Chromium-family browser that starts: the one SWITCHYARD_BROWSER names, unasked; else PATH, then
 * the usual places.
 * @returns {string | undefined}
 */
export function findBrowser() {
  const named = process.env['SWITCHYARD_BROWSER']
  if (named !== undefined && named !== '') return named
  return browserPlaces().find(answersVersion)
}

// Some distributions put a script in a browser's place that only says how to get one.
/** @param {string} path */
function answersVersion(path) {
  if (!existsSync(path)) return false
  // On Windows `--version` opens a window instead of answering.
  if (platform() === 'win32') return true
  return spawnSync(path, ['--version'], { stdio: 'ignore', timeout: PROBE_LIMIT_MS }).status === 0
}

function browserPlaces() {
  const names =
    platform() === 'win32'
      ? ['chrome.exe', 'msedge.exe']
      : ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome', 'chrome']
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '')
  const places = folders.flatMap((folder) => names.map((name) => join(folder, name)))
  if (platform() === 'darwin') {
    const bundles = ['Google Chrome', 'Chromium', 'Microsoft Edge']
    for (const root of ['/Applications', join(homedir(), 'Applications')]) {
      places.push(...bundles.map((name) => join(root, `${name}.app`, 'Contents', 'MacOS', name)))
    }
  } else if (platform() === 'win32') {
    for (const key of ['PROGRAMFILES', 'PROGRAMFILES(X86)', 'LOCALAPPDATA']) {
      const root = process.env[key]
      if (root === undefined) continue
      places.push(join(root, 'Google', 'Chrome', 'Application', 'chrome.exe'))
      places.push(join(root, 'Chromium', 'Application', 'chrome.exe'))
      places.push(join(root, 'Microsoft', 'Edge', 'Application', 'msedge.exe'))
    }
  } else {
    places.push('/usr/lib/chromium/chromium', '/opt/google/chrome/chrome', '/snap/bin/chromium')
  }
  return places
}

/** What to say and to do when `prepareBrowser` has none. */
export const noBrowser = {
  message: 'There is no Chromium-family browser here that starts.',
  hint: [
    'Install one and run the command again:',
    '  Debian, Ubuntu: sudo apt-get install chromium',
    '  elsewhere:      npx playwright install chromium',
    'or set SWITCHYARD_BROWSER to the path of a Chrome or Chromium.',
  ].join('\n'),
}

/** Path of a browser, as root with `CI` set installed when none is found; else undefined. Needs node_modules. */
export async function prepareBrowser() {
  const named = process.env['SWITCHYARD_BROWSER']
  if (named !== undefined && named !== '') return answersVersion(named) ? named : undefined
  return findBrowser() ?? (await findPlaywrightBrowser()) ?? (await installBrowser())
}

async function findPlaywrightBrowser() {
  const { chromium } = await import('playwright')
  const path = chromium.executablePath()
  return answersVersion(path) ? path : undefined
}

// Only a root of a machine for tests may change the system; its messages go to stderr like all progress.
async function installBrowser() {
  if (process.getuid?.() !== 0 || !process.env['CI']) return undefined
  if (install('apt-get', '--version')) {
    console.error('Installing chromium (apt-get)…')
    install('apt-get', 'update', '-q')
    install('apt-get', 'install', '-y', '-q', '--no-install-recommends', 'chromium')
    const found = findBrowser()
    if (found !== undefined) return found
  }
  const cli = join(rootFolder, 'node_modules', 'playwright', 'cli.js')
  console.error("Installing Playwright's Chromium into its cache folder…")
  install(process.execPath, cli, 'install', '--with-deps', 'chromium')
  return findPlaywrightBrowser()
}

/** @param {string} command @param {string[]} args */
function install(command, ...args) {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  return spawnSync(command, args, { env, stdio: ['ignore', 2, 2], timeout: INSTALL_LIMIT_MS }).status === 0
}

/** Arguments for a headless Chromium with WebGPU on the software adapter and no background traffic. */
export function browserArguments() {
  const quiet = ['--disable-background-networking', '--disable-component-update', '--disable-sync']
  const args = [
    '--enable-unsafe-webgpu',
    '--use-webgpu-adapter=swiftshader',
    '--disable-quic',
    '--no-first-run',
  ]
  args.push(...quiet)
  // Chromium's sandbox refuses to start for root.
  if (process.getuid?.() === 0) args.push('--no-sandbox')
  return args
}
