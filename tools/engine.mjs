// `npm run engine`: packages when they are missing, then the command line with its own arguments.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { installPackages, requireNode, rootFolder } from './setup.mjs'

requireNode()
installPackages()

const main = join(rootFolder, 'tools', 'engine-cli', 'main.ts')
const run = spawnSync(process.execPath, ['--import', 'tsx', main, ...process.argv.slice(2)], {
  stdio: 'inherit',
})
process.exitCode = run.status ?? 1
