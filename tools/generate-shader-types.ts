// Writes `name.d.wgsl.ts` beside each kernel; with --check it compares instead, and checks shader style.
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join, relative } from 'node:path'
import type { KernelSource } from '../src/engine/gpu/kernel-source.ts'
import { rootFolder } from './setup.mjs'
import { shaderComplaints } from './wgsl-kernel.ts'
import { loadKernel, shaderFiles } from './wgsl-plugin.ts'

const shaderFolder = join(rootFolder, 'src', 'shaders')
const isCheck = process.argv.includes('--check')

function union(names: readonly string[]): string {
  return names.length === 0 ? 'never' : names.map((name) => `'${name}'`).join(' | ')
}

function declaration(source: KernelSource): string {
  const shapes = source.bindings.map(
    ({ name, type, shape }) => ` * - \`${name}\` (${type})${shape === '' ? '' : `: ${shape}`}`,
  )
  return `// Written by \`npm run shaders\` from ${source.name}.wgsl; do not edit.
import type { KernelSource } from '../engine/gpu/kernel-source.ts'

/**
 * Bindings and shapes:
${shapes.join('\n')}
 */
declare const source: KernelSource<
  ${union(source.bindings.map((binding) => binding.name))},
  ${union(source.params?.fields.map((field) => field.name) ?? [])},
  ${union(source.overrides)},
  ${union(source.specs)}
>
export default source
`
}

const complaints: string[] = []
const expected = new Set<string>()
for (const file of shaderFiles(shaderFolder)) {
  complaints.push(...shaderComplaints(relative(rootFolder, file), readFileSync(file, 'utf8'), 'kernel'))
  const typesFile = file.replace(/\.wgsl$/, '.d.wgsl.ts')
  expected.add(basename(typesFile))
  const text = declaration(loadKernel(file).source)
  const present = existsSync(typesFile) ? readFileSync(typesFile, 'utf8') : ''
  if (present === text) continue
  if (isCheck) complaints.push(`${relative(rootFolder, typesFile)}: is out of date; run npm run shaders.`)
  else writeFileSync(typesFile, text)
}
for (const file of shaderFiles(join(shaderFolder, 'lib'))) {
  complaints.push(...shaderComplaints(relative(rootFolder, file), readFileSync(file, 'utf8'), 'library'))
}
for (const name of readdirSync(shaderFolder)) {
  if (!name.endsWith('.d.wgsl.ts') || expected.has(name)) continue
  if (isCheck) complaints.push(`src/shaders/${name}: has no kernel any more; run npm run shaders.`)
  else rmSync(join(shaderFolder, name))
}
for (const complaint of complaints) console.error(complaint)
if (complaints.length > 0 && isCheck) process.exitCode = 1
