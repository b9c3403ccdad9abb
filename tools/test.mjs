// `npm test`: sets itself up, runs every suite even after a failure, prints a table and one last line
// `N passed, N failed`. `--full` adds the long runs; `--only NAME,NAME` picks suites or groups.
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { installPackages, noBrowser, prepareBrowser, requireNode, rootFolder } from './setup.mjs'

/**
 * A suite is one or more child processes in order. `count` reads the report that they wrote; without it
 * the suite counts as one check.
 * @typedef {{ name: string, group: string, browser?: true, commands: string[][], limitMinutes: number,
 *   count?: (report: any) => { passed: number, failed: number }, report?: string }} Suite
 */

const reportFolder = join(rootFolder, 'test-results', 'reports')

/** @param {string} name */
const bin = (name) => join(rootFolder, 'node_modules', ...name.split('/'))
const vite = [bin('vite/bin/vite.js'), 'build', '--logLevel', 'warn']
const tsc = bin('typescript/lib/tsc.js')
/** @param {string} file @param {string[]} args */
const tsx = (file, ...args) => ['--import', 'tsx', join(rootFolder, 'tools', file), ...args]

/** @param {string} project @param {string} group @param {number} limitMinutes @returns {Suite} */
function vitestSuite(project, group, limitMinutes) {
  const report = join(reportFolder, `${project}.json`)
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`]
  const command = [bin('vitest/vitest.mjs'), 'run', '--project', project, ...reporters]
  return { name: project, group, limitMinutes, commands: [command], report, count: countVitest }
}

/** @type {Suite[]} */
const suites = [
  {
    name: 'format and lint',
    group: 'check',
    limitMinutes: 5,
    commands: [[bin('@biomejs/biome/bin/biome'), 'ci', '--colors=off']],
  },
  {
    name: 'types',
    group: 'check',
    limitMinutes: 5,
    commands: [
      [tsc, '--noEmit', '-p', 'tsconfig.json'],
      [tsc, '--noEmit', '-p', 'tsconfig.tools.json'],
    ],
  },
  {
    name: 'shader types',
    group: 'check',
    limitMinutes: 5,
    commands: [tsx('generate-shader-types.ts', '--check')],
  },
  { name: 'dead code', group: 'check', limitMinutes: 5, commands: [[bin('knip/bin/knip.js')]] },
  vitestSuite('unit', 'check', 10),
  {
    name: 'build',
    group: 'check',
    limitMinutes: 10,
    commands: [
      vite,
      [...vite, '--mode', 'library'],
      [tsc, '-p', 'tsconfig.build.json'],
      tsx('prune-types.ts'),
    ],
  },
  { name: 'sizes', group: 'check', limitMinutes: 5, commands: [tsx('size-table.ts')] },
  { ...vitestSuite('gpu', 'browser', 30), browser: true },
  { ...vitestSuite('golden', 'browser', 180), browser: true },
  {
    name: 'e2e',
    group: 'browser',
    browser: true,
    limitMinutes: 60,
    commands: [[bin('@playwright/test/cli.js'), 'test', '--reporter=list,json']],
    report: join(reportFolder, 'e2e.json'),
    count: countPlaywright,
  },
]

/** A skipped test counts as failed: nothing is green that did not run. @param {any} report */
function countVitest(report) {
  const skipped = report.numPendingTests + report.numTodoTests
  const brokenFiles = report.testResults.filter(
    (/** @type {any} */ file) =>
      file.status === 'failed' &&
      !file.assertionResults.some((/** @type {any} */ test) => test.status === 'failed'),
  )
  return { passed: report.numPassedTests, failed: report.numFailedTests + skipped + brokenFiles.length }
}

/** @param {any} report */
function countPlaywright(report) {
  const { expected, unexpected, flaky, skipped } = report.stats
  return { passed: expected, failed: unexpected + flaky + skipped + report.errors.length }
}

/** @param {string[]} command @param {number} limitMinutes @returns {Promise<boolean>} */
function runs(command, limitMinutes) {
  return new Promise((resolve) => {
    const env = { ...process.env, PLAYWRIGHT_JSON_OUTPUT_NAME: join(reportFolder, 'e2e.json') }
    const child = spawn(process.execPath, command, {
      cwd: rootFolder,
      env,
      stdio: ['ignore', 'inherit', 'inherit'],
    })
    const timer = setTimeout(() => {
      console.error(`Stopped after ${limitMinutes} minutes, the limit of this suite.`)
      child.kill()
    }, limitMinutes * 60_000)
    child.on('error', (error) => console.error(error.message))
    child.on('close', (code) => {
      clearTimeout(timer)
      resolve(code === 0)
    })
  })
}

/** @param {Suite} suite */
async function runSuite(suite) {
  console.log(`\n— ${suite.name}`)
  const start = performance.now()
  let isGreen = true
  for (const command of suite.commands) {
    isGreen = await runs(command, suite.limitMinutes)
    if (!isGreen) break
  }
  const counts = readCounts(suite) ?? { passed: isGreen ? 1 : 0, failed: 0 }
  // A crash or an unhandled error outside of any test still fails the suite; so does an empty suite.
  if (counts.failed === 0 && (!isGreen || counts.passed === 0)) counts.failed = 1
  return { name: suite.name, ...counts, seconds: (performance.now() - start) / 1000 }
}

/** @param {Suite} suite */
function readCounts(suite) {
  if (suite.count === undefined || suite.report === undefined || !existsSync(suite.report)) return undefined
  return suite.count(JSON.parse(readFileSync(suite.report, 'utf8')))
}

/** Names a browser to the suites. */
async function nameBrowser() {
  const found = await prepareBrowser()
  if (found === undefined) {
    console.error(`${noBrowser.message}\n${noBrowser.hint}`)
    return false
  }
  process.env['SWITCHYARD_BROWSER'] = found
  return true
}

/** @param {{ name: string, passed: number, failed: number, seconds: number }[]} rows */
function printTable(rows) {
  const width = Math.max(...rows.map((row) => row.name.length), 5)
  console.log(`\n${'suite'.padEnd(width)}  passed  failed  seconds`)
  for (const { name, passed, failed, seconds } of rows) {
    const cells = [String(passed).padStart(6), String(failed).padStart(6), seconds.toFixed(1).padStart(7)]
    console.log(`${name.padEnd(width)}  ${cells.join('  ')}`)
  }
}

requireNode()
installPackages()
const args = process.argv.slice(2)
if (args.includes('--full')) process.env['SWITCHYARD_FULL'] = '1'
const only = args.includes('--only') ? args[args.indexOf('--only') + 1]?.split(',') : undefined
const chosen = suites.filter((suite) => !only || only.includes(suite.name) || only.includes(suite.group))
if (chosen.length === 0) {
  console.error(`No suite is called that. Suites: ${suites.map((suite) => suite.name).join(', ')}.`)
  process.exit(2)
}

rmSync(reportFolder, { recursive: true, force: true })
mkdirSync(reportFolder, { recursive: true })
const hasBrowser = !chosen.some((suite) => suite.browser) || (await nameBrowser())
const rows = []
for (const suite of chosen) {
  const canRun = hasBrowser || suite.browser === undefined
  rows.push(canRun ? await runSuite(suite) : { name: suite.name, passed: 0, failed: 1, seconds: 0 })
}
printTable(rows)
const passed = rows.reduce((sum, row) => sum + row.passed, 0)
const failed = rows.reduce((sum, row) => sum + row.failed, 0)
console.log(`\n${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1
