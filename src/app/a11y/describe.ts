// What a picture shows, as sentences: the text twins of canvases and tokens.
import type { Choice, TokenTrace } from '../../index.ts'
import { formatCount, formatMs } from '../format.ts'

const SOURCE_WORDS = { gpu: 'GPU', ram: 'memory', disk: 'disk' } as const
const PRECISION_WORDS = { high: 'high precision', low: 'low precision', skip: 'skipped' } as const

/** True for the last token of a run when it was made but never read: as a rule the one that ended the answer. */
export function isEndToken(tokens: TokenTrace, token: number): boolean {
  return token === tokens.length - 1 && tokens.facts(token).phase === 'decode' && !tokens.wasRead(token)
}

/** Bytes that are no whole character, as a token's text spells them: `<0xE2>`. */
export const BYTES = /<0x([0-9A-F]{2})>/g
const BYTE = /<0x[0-9A-F]{2}>/

/** How a token is shown: a control token by its name, white space by signs, anything else as itself. */
export type TokenKind = 'text' | 'control' | 'space' | 'part' | 'withheld'

/**
 * Kind and printable form of a token's text; `isEnd` tells the token that ended an answer, whose text is empty.
 */
export function readToken(text: string | undefined, isEnd = false): { kind: TokenKind; shown: string } {
  if (text === undefined) return { kind: 'withheld', shown: '▢' }
  if (text === '' && isEnd) return { kind: 'control', shown: 'end' }
  if (text === '' || text === '\ufffd') return { kind: 'part', shown: '◌' }
  if (BYTE.test(text)) return { kind: 'part', shown: text.trim().replaceAll(BYTES, '$1') }
  const control = /^<[|｜]?([^\s<>|｜]{1,48})[|｜]?>$/u.exec(text)
  if (control?.[1] !== undefined) return { kind: 'control', shown: control[1] }
  if (/^\s+$/u.test(text)) {
    return { kind: 'space', shown: text.replaceAll('\n', '↵').replaceAll('\t', '⇥').replaceAll(/\s/gu, '·') }
  }
  return { kind: 'text', shown: text }
}

/** A token's name for reading aloud: `‘ named’`, `control token im_end`. */
export function nameToken(text: string | undefined, isEnd = false): string {
  const { kind, shown } = readToken(text, isEnd)
  switch (kind) {
    case 'withheld':
      return 'text withheld'
    case 'part':
      return shown === '◌' ? 'part of a character' : `part of a character, ${shown}`
    case 'control':
      return `control token ${shown}`
    case 'space':
      return text?.includes('\n') ? 'line break' : 'white space'
    case 'text':
      return `‘${shown}’`
  }
}

/** One layer of a token: `Layer 7: expert 3, 62 percent, high precision, from GPU; …`. */
export function describeLayer(layer: number, choices: readonly Choice[]): string {
  if (choices.length === 0) return `Layer ${layer}: not read.`
  const list = choices.map(
    ({ expert, weight, precision, source }) =>
      `expert ${expert}, ${Math.round(weight * 100)} percent, ${PRECISION_WORDS[precision]}, from ${SOURCE_WORDS[source]}`,
  )
  return `Layer ${layer}: ${list.join('; ')}.`
}

/** A token at a layer, with what it cost. */
export function describeToken(tokens: TokenTrace, token: number, layer: number): string {
  const { text, ms, stallMs } = tokens.facts(token)
  const head = `Token ${tokens.firstIndex + token}, ${nameToken(text, isEndToken(tokens, token))}.`
  if (!tokens.wasRead(token)) return `${head} It was made last and never read, so it has no routing.`
  const wait = stallMs > 0 ? `Waited ${formatMs(stallMs)} for weights.` : 'No wait.'
  return `${head} ${describeLayer(layer, tokens.choices(token, layer))} Took ${formatMs(ms)}. ${wait}`
}

/** How even the experts of a layer were used. */
export function describeUse(layer: number, counts: readonly number[], read: number, topK: number): string {
  if (read === 0) return `Layer ${layer}: no token was read yet.`
  const silent = counts.filter((count) => count === 0).length
  const most = counts.reduce((best, count, expert) => (count > (counts[best] ?? 0) ? expert : best), 0)
  const share = Math.round(((counts[most] ?? 0) / read) * 100)
  const even = Math.round((topK / counts.length) * 100)
  return (
    `Layer ${layer}, ${formatCount(read, 'token')}: expert ${most} was chosen most, by ${share} percent; ` +
    `even use would be ${even} percent. ${silent} of ${counts.length} silent.`
  )
}
