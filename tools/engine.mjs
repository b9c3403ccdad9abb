// `npm run engine`: packages when they are missing, then the command line in this very process, so that a
// signal to it reaches the browser.
import { installPackages, requireNode } from './setup.mjs'

requireNode()
installPackages()

const { register } = await import('tsx/esm/api')
register()
await import('./engine-cli/main.ts')
