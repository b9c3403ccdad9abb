// The messages inside a run's tokens: control tokens say where a turn begins and ends.
import type { TokenTrace } from '../../index.ts'
import { BYTES, readToken } from './describe.ts'

export interface TranscriptMessage {
  /** `user`, `assistant`, or `text` when the run has no turns. */
  role: string
  text: string
}

const ROLES = new Set(['system', 'user', 'assistant'])

/**
 * The turns of a run, or its text as one message when no control token opens a turn; empty when withheld. The system's
 * turn is left to the token strip: nobody said it.
 */
export function readTranscript(tokens: TokenTrace): TranscriptMessage[] {
  const messages: TranscriptMessage[] = []
  let current: TranscriptMessage | undefined
  let isNamed = true
  for (let token = 0; token < tokens.length; token++) {
    const { text } = tokens.facts(token)
    const { kind, shown } = readToken(text)
    if (kind === 'withheld' || text === undefined) continue
    if (kind === 'control') {
      closeText(current)
      current = undefined
      if (shown.endsWith('start')) {
        current = { role: '', text: '' }
        isNamed = false
        messages.push(current)
      }
      continue
    }
    if (current === undefined) {
      if (text.trim() === '') continue
      current = { role: 'text', text: '' }
      messages.push(current)
    }
    if (isNamed) current.text += text
    else {
      current.role += text
      const end = current.role.indexOf('\n')
      if (end >= 0) {
        isNamed = true
        current.text = current.role.slice(end + 1)
        current.role = current.role.slice(0, end).trim()
      }
    }
    if (isNamed && current.role !== 'text' && !ROLES.has(current.role)) current.role = 'text'
  }
  closeText(current)
  return messages
    .map(({ role, text }) => ({ role, text: text.trim() }))
    .filter(({ role, text }) => text !== '' && role !== 'system')
}

/** Puts characters together that tokens spell in single bytes. */
function closeText(message: TranscriptMessage | undefined): void {
  if (message === undefined) return
  message.text = message.text.replaceAll(/(?:<0x[0-9A-F]{2}>)+/g, (run) => {
    const bytes = [...run.matchAll(BYTES)].map((match) => Number.parseInt(match[1] ?? '', 16))
    return new TextDecoder().decode(Uint8Array.from(bytes))
  })
}
