// `npm start`: packages when they are missing, then the page in the person's own browser. `--port N` takes
// another port, `--no-open` opens nothing. The server runs in this very process, so that a signal ends it.
import { parseArgs } from 'node:util'
import { installPackages, requireNode, rootFolder } from './setup.mjs'

const DEFAULT_PORT = 5173

/** @param {string} sentence @param {number} code @returns {never} */
function leave(sentence, code) {
  console.error(sentence)
  process.exit(code)
}

/** @param {string[]} line */
function readOptions(line) {
  const options = /** @type {const} */ ({ port: { type: 'string' }, 'no-open': { type: 'boolean' } })
  try {
    const { values } = parseArgs({ args: line, options })
    const { port: text = String(DEFAULT_PORT) } = values
    const port = /^\d+$/.test(text) ? Number(text) : 0
    if (port >= 1 && port <= 65_535) return { port, open: values['no-open'] !== true }
    return leave(`--port must be a whole number from 1 to 65535, not "${text}".`, 2)
  } catch (error) {
    return leave(/** @type {Error} */ (error).message, 2)
  }
}

requireNode()
const { port, open } = readOptions(process.argv.slice(2))
installPackages()

const { createServer } = await import('vite')
// Another port is another origin, where the stored model would seem gone.
const server = await createServer({ root: rootFolder, server: { port, strictPort: true, open } })
try {
  await server.listen()
} catch (error) {
  const { message } = /** @type {Error} */ (error)
  if (!message.includes('already in use')) throw error
  leave(
    `Port ${port} is taken, perhaps by another \`npm start\`. Close that one, or choose another port with ` +
      '`npm start -- --port N`; a model that is stored under one port is not seen under another.',
    1,
  )
}
server.printUrls()
server.bindCLIShortcuts({ print: true })
