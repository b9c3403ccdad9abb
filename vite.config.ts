import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { defineConfig, type Plugin, type UserConfig } from 'vite'
import { recordedRunPlugin } from './tools/recorded-run-plugin.ts'
import { wgslPlugin } from './tools/wgsl-plugin.ts'

// The demo as a static site that works from any folder of any host.
const site: UserConfig = {
  base: './',
  plugins: [wgslPlugin(), recordedRunPlugin()],
  worker: { format: 'es', plugins: () => [wgslPlugin()] },
  server: { host: 'localhost' },
  // Every browser with WebGPU preloads modules by itself.
  build: {
    outDir: 'dist-site',
    target: 'es2023',
    chunkSizeWarningLimit: 200,
    modulePreload: { polyfill: false },
  },
}

// The package: two entries without bare imports, so that a page needs no bundler to use them.
const library: UserConfig = {
  publicDir: false,
  plugins: [wgslPlugin(), workerAddressPlugin(), licensePlugin()],
  build: {
    outDir: 'dist',
    target: 'es2023',
    lib: { entry: { switchyard: 'src/index.ts', worker: 'src/engine/worker.ts' }, formats: ['es'] },
    rolldownOptions: { output: { chunkFileNames: 'chunks/[name]-[hash].js', minify: true } },
  },
}

/**
 * Keeps `new Worker(new URL('./worker.js', import.meta.url))` in the output as the one pattern that Vite,
 * webpack and plain browsers all understand; Vite's own worker bundling would turn it into an address.
 */
function workerAddressPlugin(): Plugin {
  const placeholder = '__SWITCHYARD_WORKER_ADDRESS__'
  return {
    name: 'switchyard-worker-address',
    enforce: 'pre',
    transform(code, id) {
      if (!id.endsWith('/src/engine/client.ts')) return null
      const pattern = /new URL\('\.\/worker\.ts', import\.meta\.url\)/g
      if (!pattern.test(code)) this.error("client.ts no longer has new URL('./worker.ts', import.meta.url).")
      return { code: code.replace(pattern, placeholder), map: null }
    },
    generateBundle(_, bundle) {
      for (const chunk of Object.values(bundle)) {
        if (chunk.type !== 'chunk' || !chunk.code.includes(placeholder)) continue
        if (!chunk.isEntry) this.error('The worker address is in a shared chunk, where ./worker.js is wrong.')
        chunk.code = chunk.code.replaceAll(placeholder, `new URL('./worker.js', import.meta.url)`)
      }
    },
  }
}

/** Writes the licenses of the packages that are bundled. */
function licensePlugin(): Plugin {
  return {
    name: 'switchyard-licenses',
    generateBundle(_, bundle) {
      const folders = new Set<string>()
      for (const chunk of Object.values(bundle)) {
        if (chunk.type !== 'chunk') continue
        for (const id of chunk.moduleIds) {
          const folder = /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+\//.exec(id)?.[0]
          if (folder !== undefined) folders.add(folder)
        }
      }
      const parts = [...folders].sort().map(packageLicense)
      this.emitFile({ type: 'asset', fileName: 'third-party-licenses.txt', source: parts.join('\n\n') })
    },
  }
}

function packageLicense(folder: string): string {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  const title = `${name} ${version} (${license})`
  for (const file of ['LICENSE', 'LICENSE.md', 'LICENCE', 'license']) {
    try {
      return `${title}\n\n${readFileSync(join(folder, file), 'utf8').trim()}\n`
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    }
  }
  return `${title}\n`
}

export default defineConfig(({ mode }) => (mode === 'library' ? library : site))
