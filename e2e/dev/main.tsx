import { mountApp } from '../../src/app/app.tsx'
import * as door from '../../src/index.ts'
import { createFakeEngine } from './fake-engine.ts'
import { makeRun } from './sample-run.ts'

const query = new URLSearchParams(location.search)
const root = document.getElementById('app')
if (root === null) throw new Error('The page has no #app element.')
const recording = new Blob([door.formatTrace(makeRun(), { includeText: true })], { type: 'application/json' })
mountApp(root, {
  door: Promise.resolve({ ...door, createEngine: () => createFakeEngine(query) }),
  recordingUrl: URL.createObjectURL(recording),
  engineVersion: '0.1.0',
})
