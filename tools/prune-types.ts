// Keeps the declarations that the package's public types reach, and removes the rest that the compiler wrote.
// Fails when a declaration that stays needs another package, since the published one has none.
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { rootFolder } from './setup.mjs'

const folder = join(rootFolder, 'dist', 'types')
const kept = new Set<string>()
const foreign: string[] = []

function keep(file: string): void {
  if (kept.has(file)) return
  kept.add(file)
  const text = readFileSync(file, 'utf8')
  for (const match of text.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*['"]([^'"]+)['"]/g)) {
    const name = match[1] as string
    if (name.startsWith('.')) keep(join(dirname(file), name.replace(/\.tsx?$/, '.d.ts')))
    else foreign.push(`${file} imports ${name}`)
  }
}

keep(join(folder, 'index.d.ts'))
for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
  const file = join(entry.parentPath, entry.name)
  if (entry.isFile() && !kept.has(file)) rmSync(file)
}
for (const sentence of foreign) console.error(sentence)
if (foreign.length > 0) process.exitCode = 1
