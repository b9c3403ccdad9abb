import { version } from '../../package.json'
import { mountApp } from './app.tsx'

const root = document.getElementById('app')
if (root === null) throw new Error('The page has no #app element.')
mountApp(root, {
  door: import('../index.ts'),
  recordingUrl: new URL('demo-trace.json', document.baseURI).href,
  engineVersion: version,
})
