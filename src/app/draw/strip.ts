// The tokens of a run in place, as spans that are appended once. Coloring changes classes, never text. Work is done
// in steps of a frame, in blocks that are laid out alone, so that a long context never holds up the page.
import type { TokenTrace } from '../../index.ts'
import { isEndToken, nameToken, readToken } from '../a11y/describe.ts'
import { formatShare } from '../format.ts'
import { hueOf } from './palette.ts'

export interface StripColoring {
  layer: number
  coloring: 'first' | 'weight'
  expert: number | undefined
}

const WRITES_PER_FRAME = 64
const PAINTS_PER_FRAME = 400
/** A block ends with a line; a line that goes on is cut at a sentence's end, or at last anywhere. */
const SOFT_BLOCK_TOKENS = 100
const HARD_BLOCK_TOKENS = 300

export class Strip {
  readonly host: HTMLElement
  #tokens: TokenTrace | undefined
  #spans: HTMLSpanElement[] = []
  /** First node of each token: its leading space when it has one. */
  #heads: ChildNode[] = []
  #block: HTMLElement | undefined
  #coloring: StripColoring = { layer: 0, coloring: 'first', expert: undefined }
  #paintFrom = 0
  #selected = -1
  #playhead: number | undefined

  /** `host` is the listbox; it keeps the spans and is the one tab stop through its selected token. */
  constructor(host: HTMLElement) {
    this.host = host
  }

  /** Takes tokens from number `from` on; `work` writes them. Earlier nodes stay as they are. */
  sync(tokens: TokenTrace | undefined, from: number): void {
    this.#removeFrom(this.#tokens === tokens ? from : 0)
    this.#tokens = tokens
  }

  /** Colors every token by a layer and expert, in `work`. */
  color(coloring: StripColoring): void {
    this.#coloring = coloring
    this.#paintFrom = 0
  }

  /** Writes and paints one frame's share; returns whether there is more to do. */
  work(): boolean {
    const tokens = this.#tokens
    const written = this.#spans.length
    const paintEnd = Math.min(written, this.#paintFrom + PAINTS_PER_FRAME)
    for (let token = this.#paintFrom; token < paintEnd; token++) this.#paint(token)
    this.#paintFrom = paintEnd
    if (tokens === undefined) return false
    const end = Math.min(tokens.length, written + WRITES_PER_FRAME)
    const isPainted = paintEnd === written
    for (let token = written; token < end; token++) this.#write(tokens, token)
    if (isPainted) this.#paintFrom = end
    if (this.#selected >= written && this.#selected < end) this.select(this.#selected)
    return end < tokens.length || !isPainted
  }

  /** Marks the token in view and gives it the tab stop. */
  select(token: number): void {
    const before = this.#spans[this.#selected]
    if (before !== undefined) {
      before.removeAttribute('aria-selected')
      before.tabIndex = -1
    }
    this.#selected = token
    const span = this.#spans[token]
    if (span === undefined) return
    span.setAttribute('aria-selected', 'true')
    span.tabIndex = 0
    this.#reveal(span)
  }

  /** Leaves tokens from `playhead` on uncolored; undefined colors all. */
  setPlayhead(playhead: number | undefined): void {
    const before = this.#playhead ?? this.#spans.length
    const now = playhead ?? this.#spans.length
    this.#playhead = playhead
    for (let token = Math.min(before, now); token < Math.max(before, now); token++) {
      this.#spans[token]?.classList.toggle('ahead', token >= now)
    }
  }

  focus(token: number): void {
    this.#spans[token]?.focus({ preventScroll: true })
  }

  /** The token a node belongs to. */
  tokenOf(target: EventTarget | null): number | undefined {
    const span = target instanceof Element ? target.closest<HTMLElement>('[data-t]') : null
    return span === null ? undefined : Number(span.dataset['t'])
  }

  /** Scrolls the strip, and nothing around it, until a token is visible. */
  #reveal(span: HTMLElement): void {
    const { top, bottom } = this.host.getBoundingClientRect()
    const box = span.getBoundingClientRect()
    if (box.bottom + 16 > bottom) this.host.scrollTop += box.bottom + 16 - bottom
    else if (box.top - 8 < top) this.host.scrollTop += box.top - 8 - top
  }

  #removeFrom(start: number): void {
    const head = this.#heads[start]
    if (head === undefined) return
    const block = head.parentElement
    while (this.host.lastChild !== null && this.host.lastChild !== block) this.host.lastChild.remove()
    while (block?.lastChild && block.lastChild !== head) block.lastChild.remove()
    head.remove()
    this.#block = block ?? undefined
    this.#spans.length = start
    this.#heads.length = start
    this.#paintFrom = Math.min(this.#paintFrom, start)
  }

  #write(tokens: TokenTrace, token: number): void {
    const { text, phase } = tokens.facts(token)
    const { kind, shown } = readToken(text, isEndToken(tokens, token))
    const span = document.createElement('span')
    const lead = kind === 'text' ? (/^ +/.exec(shown)?.[0] ?? '') : ''
    const body = shown.slice(lead.length)
    span.textContent = kind === 'text' ? body.replaceAll('\n', '↵') : body
    span.dataset['t'] = String(token)
    span.dataset['kind'] = kind
    span.dataset['phase'] = phase
    span.setAttribute('role', 'option')
    span.tabIndex = -1
    this.#spans[token] = span
    this.#paint(token)
    const nodes: ChildNode[] = lead === '' ? [span] : [new Text(lead), span]
    this.#heads[token] = nodes[0] ?? span
    this.#block ??= this.#startBlock()
    this.#block.append(...nodes)
    const size = this.#block.childElementCount
    const isSentence = size >= SOFT_BLOCK_TOKENS && /[.!?]$/.test(text ?? '')
    if (text?.includes('\n') || isSentence || size >= HARD_BLOCK_TOKENS) this.#block = undefined
  }

  #startBlock(): HTMLElement {
    const block = document.createElement('div')
    block.setAttribute('role', 'none')
    this.host.append(block)
    return block
  }

  #paint(token: number): void {
    const tokens = this.#tokens
    const span = this.#spans[token]
    if (tokens === undefined || span === undefined) return
    const { layer, coloring, expert } = this.#coloring
    const first = tokens.expertAt(token, layer, 0)
    const weight = expert === undefined ? 0 : tokens.weightOf(token, layer, expert)
    const classes = ['tok']
    let mark = ''
    let words = first === undefined ? '' : `, expert ${first}`
    if (coloring === 'weight' && expert !== undefined) {
      span.style.setProperty('--weight', weight.toFixed(2))
      classes.push('ramp')
      if (weight > 0) mark = String(Math.round(weight * 100))
      words = `, expert ${expert}: ${formatShare(weight)}`
    } else if (expert !== undefined && weight > 0) {
      classes.push(`h${hueOf(expert)}`, 'lit')
      if (expert !== first) classes.push('faint')
      mark = String(expert)
      words = `, expert ${expert}: ${formatShare(weight)}`
    } else if (first !== undefined) {
      classes.push(expert === undefined ? `h${hueOf(first)}` : 'unlit')
      mark = String(first)
    }
    if (this.#playhead !== undefined && token >= this.#playhead) classes.push('ahead')
    span.className = classes.join(' ')
    span.dataset['n'] = mark
    span.setAttribute(
      'aria-label',
      `${nameToken(tokens.facts(token).text, isEndToken(tokens, token))}${words}`,
    )
  }
}
