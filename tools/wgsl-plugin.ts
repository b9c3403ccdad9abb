// Vite plugin: `import source from './matmul.wgsl'` gives a `KernelSource`. Also lists the shader files.
import { readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { Plugin } from 'vite'
import type { KernelSource } from '../src/engine/gpu/kernel-source.ts'
import { composeKernel, shrinkShader, usedLibraries } from './wgsl-kernel.ts'

/** A kernel read from its file, and the library files it was joined with. */
export interface LoadedKernel {
  source: KernelSource
  libraryFiles: string[]
}

/** Joins and reflects one kernel file; its libraries lie in `lib/` beside it. */
export function loadKernel(file: string): LoadedKernel {
  const text = readFileSync(file, 'utf8')
  const libraryFiles = usedLibraries(text).map((name) => join(dirname(file), 'lib', `${name}.wgsl`))
  const name = basename(file, '.wgsl')
  const libraryTexts = libraryFiles.map((libraryFile) => readFileSync(libraryFile, 'utf8'))
  return { source: composeKernel(name, text, libraryTexts), libraryFiles }
}

/** Paths of the `.wgsl` files directly in `folder`, sorted. */
export function shaderFiles(folder: string): string[] {
  const names = readdirSync(folder).filter((name) => name.endsWith('.wgsl'))
  return names.sort().map((name) => join(folder, name))
}

/** The plugin for Vite and vitest. Builds carry shaders without comments and indentation. */
export function wgslPlugin(): Plugin {
  let isBuild = false
  return {
    name: 'switchyard-wgsl',
    enforce: 'pre',
    configResolved({ command }) {
      isBuild = command === 'build'
    },
    load(id) {
      if (!id.endsWith('.wgsl')) return null
      const { source, libraryFiles } = loadKernel(id)
      for (const file of libraryFiles) this.addWatchFile(file)
      const shipped = isBuild ? { ...source, code: shrinkShader(source.code) } : source
      return { code: `export default ${JSON.stringify(shipped)}`, map: null, moduleType: 'js' }
    },
  }
}
