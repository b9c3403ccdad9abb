// Writes the recorded run's conversation into index.html, so that markup alone shows what the trace holds.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Plugin } from 'vite'
import { readTranscript } from '../src/app/a11y/transcript.ts'
import { parseTrace } from '../src/engine/trace/trace-file.ts'
import { rootFolder } from './setup.mjs'

const MARK = '<!-- recorded run -->'
const NAMES: Record<string, string> = { user: 'You', assistant: 'Model', text: 'Text' }

/** Replaces the mark in the page by the messages of `public/demo-trace.json`; both change together. */
export function recordedRunPlugin(): Plugin {
  return {
    name: 'switchyard-recorded-run',
    transformIndexHtml(html) {
      if (!html.includes(MARK)) return html
      const trace = parseTrace(readFileSync(join(rootFolder, 'public', 'demo-trace.json'), 'utf8'))
      const messages = readTranscript(trace.tokens).map(
        ({ role, text }) =>
          `<div class="message" data-role="${role}"><h3>${NAMES[role] ?? 'Text'}</h3><p>${escapeHtml(text)}</p></div>`,
      )
      return html.replace(MARK, () => messages.join('\n'))
    },
  }
}

function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
