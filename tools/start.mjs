// `npm start`: packages when they are missing, then the page in the person's own browser.
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { installPackages, requireNode, rootFolder } from './setup.mjs'

requireNode()
installPackages()

const vite = join(rootFolder, 'node_modules', 'vite', 'bin', 'vite.js')
const given = process.argv.slice(2)
const open = given.includes('--no-open') ? [] : ['--open']
const args = [vite, ...open, ...given.filter((argument) => argument !== '--no-open')]
const server = spawn(process.execPath, args, { cwd: rootFolder, stdio: 'inherit' })
server.on('exit', (code) => {
  process.exitCode = code ?? 1
})
// The terminal sends Ctrl+C to both; leaving first would detach a server that is still closing.
process.on('SIGINT', () => {})
