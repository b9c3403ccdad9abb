// Prints gzip sizes of what a visitor loads, against budgets, and files that have grown long.
// Fails past a budget; long files are a question for review, never a failure.
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, sep } from 'node:path'
import { gzipSync } from 'node:zlib'
import { rootFolder } from './setup.mjs'

interface SizeRow {
  name: string
  bytes: number
  gzipBytes: number
  budgetBytes: number
}

const site = join(rootFolder, 'dist-site')
const library = join(rootFolder, 'dist')
const PACKAGE_BUDGET_BYTES = 1_000_000

/** Files that `entry` loads at once: itself and its static imports; dynamic imports are on demand. */
function staticImports(entry: string, seen = new Set<string>()): Set<string> {
  if (seen.has(entry)) return seen
  seen.add(entry)
  const code = readFileSync(entry, 'utf8')
  for (const match of code.matchAll(/(?:\bfrom|\bimport)\s*["'](\.\.?\/[^"']+\.js)["']/g)) {
    staticImports(join(dirname(entry), match[1] as string), seen)
  }
  return seen
}

function sizeRow(name: string, files: Iterable<string>, budgetBytes: number): SizeRow {
  const contents = [...files].map((file) => readFileSync(file))
  return {
    name,
    bytes: contents.reduce((sum, content) => sum + content.length, 0),
    gzipBytes: contents.reduce((sum, content) => sum + gzipSync(content, { level: 9 }).length, 0),
    budgetBytes,
  }
}

function siteRows(): SizeRow[] {
  const html = readFileSync(join(site, 'index.html'), 'utf8')
  const named = (pattern: RegExp) =>
    [...html.matchAll(pattern)].map((match) => join(site, match[1] as string))
  const scripts = new Set(named(/<script[^>]*\ssrc="([^"]+)"/g).flatMap((file) => [...staticImports(file)]))
  const workers = readdirSync(join(site, 'assets')).filter((name) => /^worker-.*\.js$/.test(name))
  const workerFiles = new Set(workers.flatMap((name) => [...staticImports(join(site, 'assets', name))]))
  return [
    sizeRow('page script', scripts, 25_000),
    sizeRow('page worker', workerFiles, 60_000),
    sizeRow('page CSS', named(/<link[^>]*\shref="([^"]+\.css)"/g), 6_000),
  ]
}

function libraryRows(): SizeRow[] {
  return [
    sizeRow('switchyard', staticImports(join(library, 'switchyard.js')), 25_000),
    sizeRow('switchyard/worker', staticImports(join(library, 'worker.js')), 60_000),
  ]
}

interface Pack {
  size: number
  files: { path: string }[]
}

function packComplaints(): string[] {
  const args = ['pack', '--dry-run', '--json', '--ignore-scripts']
  const output = execFileSync('npm', args, {
    cwd: rootFolder,
    encoding: 'utf8',
    shell: process.platform === 'win32',
  })
  const parsed: Pack[] | Record<string, Pack> = JSON.parse(output)
  const pack = Object.values(parsed)[0] as Pack
  const kilobytes = (pack.size / 1000).toFixed(0)
  console.log(`\nnpm package: ${pack.files.length} files, ${kilobytes} kB of ${PACKAGE_BUDGET_BYTES / 1000}`)
  const complaints = []
  if (pack.size > PACKAGE_BUDGET_BYTES) complaints.push(`The package is ${kilobytes} kB, over its budget.`)
  for (const { path } of pack.files) {
    const isExpected = /^(dist\/[^?]+\.(js|d\.ts|txt)|package\.json|README\.md|LICENSE|CHANGELOG\.md)$/.test(
      path,
    )
    if (!isExpected) complaints.push(`The package holds ${path}, which does not belong there.`)
  }
  return complaints
}

function sourceFiles(folder: string): string[] {
  if (!existsSync(folder)) return []
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true })
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
}

function printLongFiles(): void {
  const files = ['src', 'tools', 'test', 'e2e'].flatMap((folder) => sourceFiles(join(rootFolder, folder)))
  for (const file of files) {
    const limit = /\.(ts|tsx|mjs)$/.test(file) ? 300 : file.endsWith('.wgsl') ? 150 : undefined
    if (limit === undefined) continue
    const lines = readFileSync(file, 'utf8').split('\n').length - 1
    const name = relative(rootFolder, file).split(sep).join('/')
    if (lines > limit) console.log(`long file: ${name} has ${lines} lines, more than ${limit}`)
  }
}

const rows = [...siteRows(), ...libraryRows()]
const complaints = []
console.log(`${'entry'.padEnd(18)}  ${'bytes'.padStart(8)}  ${'gzip'.padStart(8)}  ${'budget'.padStart(8)}`)
for (const { name, bytes, gzipBytes, budgetBytes } of rows) {
  const cells = [bytes, gzipBytes, budgetBytes].map((value) => String(value).padStart(8))
  console.log(`${name.padEnd(18)}  ${cells.join('  ')}`)
  if (gzipBytes > budgetBytes) complaints.push(`${name}: ${gzipBytes} bytes gzipped, budget ${budgetBytes}.`)
}
complaints.push(...packComplaints())
printLongFiles()
for (const complaint of complaints) console.error(complaint)
if (complaints.length > 0) process.exitCode = 1
