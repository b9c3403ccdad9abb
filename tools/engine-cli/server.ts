// A server on the loopback address: the built harness page, and model files by ranges. Nothing else.
import { createReadStream, statSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { extname, join } from 'node:path'
import { build } from 'vite'
import { rootFolder } from '../setup.mjs'
import { wgslPlugin } from '../wgsl-plugin.ts'
import type { ServedFiles } from './model-files.ts'

/** Path of the harness page on the server. */
export const HARNESS_PATH = '/harness.html'

const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
}

/** Builds the harness page in memory: path on the server to content. */
export async function buildHarness(): Promise<Map<string, string | Uint8Array>> {
  const folder = join(rootFolder, 'tools', 'engine-cli')
  const result = await build({
    configFile: false,
    root: folder,
    base: '/',
    publicDir: false,
    logLevel: 'error',
    plugins: [wgslPlugin()],
    worker: { format: 'es', plugins: () => [wgslPlugin()] },
    build: {
      write: false,
      target: 'es2023',
      minify: false,
      modulePreload: { polyfill: false },
      rolldownOptions: { input: join(folder, 'harness.html') },
    },
  })
  const files = new Map<string, string | Uint8Array>()
  for (const { output } of [result].flat().filter((part) => 'output' in part)) {
    for (const item of output) files.set(`/${item.fileName}`, item.type === 'chunk' ? item.code : item.source)
  }
  return files
}

/** Serves pages and model files on a free loopback port. The caller closes the server. */
export function serve(
  pages: ReadonlyMap<string, string | Uint8Array>,
  modelFiles: ServedFiles,
): Promise<{ server: Server; port: number }> {
  const server = createServer((request, response) => {
    const path = new URL(request.url ?? '/', 'http://localhost').pathname
    const page = pages.get(path)
    const file = modelFiles.get(path)
    if (request.method !== 'GET' && request.method !== 'HEAD') response.writeHead(405).end()
    else if (page !== undefined) sendPage(response, path, page)
    else if (file !== undefined) sendFile(request, response, file)
    else response.writeHead(404).end()
  })
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => resolve({ server, port: (server.address() as AddressInfo).port }))
  })
}

function sendPage(response: ServerResponse, path: string, content: string | Uint8Array): void {
  const type = TYPES[extname(path)] ?? 'application/octet-stream'
  response.writeHead(200, { 'content-type': type, 'cache-control': 'no-store' }).end(content)
}

function sendFile(request: IncomingMessage, response: ServerResponse, file: string): void {
  const { size, mtimeMs } = statSync(file)
  const headers = {
    'accept-ranges': 'bytes',
    'cache-control': 'no-store',
    'content-type': 'application/octet-stream',
    etag: `"${size}-${Math.round(mtimeMs)}"`,
  }
  const range = parseRange(request.headers.range, size)
  if (range === 'unsatisfiable') {
    response.writeHead(416, { ...headers, 'content-range': `bytes */${size}` }).end()
    return
  }
  const { start, end } = range ?? { start: 0, end: size - 1 }
  const partial = range === undefined ? {} : { 'content-range': `bytes ${start}-${end}/${size}` }
  response.writeHead(range === undefined ? 200 : 206, {
    ...headers,
    ...partial,
    'content-length': end - start + 1,
  })
  if (request.method === 'HEAD') {
    response.end()
    return
  }
  const stream = createReadStream(file, { start, end })
  stream.on('error', () => response.destroy())
  response.on('close', () => stream.destroy())
  stream.pipe(response)
}

/** One byte range of a `Range` header; undefined when the whole file is asked for. */
export function parseRange(
  header: string | undefined,
  size: number,
): { start: number; end: number } | 'unsatisfiable' | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? '')
  if (match === null || (match[1] === '' && match[2] === '')) return undefined
  const isSuffix = match[1] === ''
  const start = isSuffix ? Math.max(0, size - Number(match[2])) : Number(match[1])
  const end = isSuffix || match[2] === '' ? size - 1 : Math.min(Number(match[2]), size - 1)
  return start > end || start >= size ? 'unsatisfiable' : { start, end }
}
