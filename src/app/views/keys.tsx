import type { Page } from '../state/page.ts'
import { TABS } from '../state/view-state.ts'
import { Dialog } from './dialog.tsx'
import { firstExpert } from './token-strip.tsx'

const KEYS: readonly (readonly [string, string])[] = [
  ['Ctrl or ⌘ + Enter', 'run the message'],
  ['Esc', 'stop the run'],
  ['← →', 'token, in the strip'],
  ['↑ ↓', 'layer, in the strip'],
  ['Home, End', 'first and last token'],
  ['Space', 'play or pause a recording, in the strip'],
  ['1 2 3', 'Token, Experts, Run'],
  ['E', 'light up the tokens of this token’s first expert'],
  ['C', 'change the coloring'],
  ['?', 'this help'],
]

/** Acts on the keys of the whole page; single letters never act while someone types. */
export function handleKey(page: Page, event: KeyboardEvent): void {
  const { view, chat, engine } = page
  if (document.querySelector('dialog[open]') !== null) return
  if (event.key === 'Escape') {
    if (chat.isRunning.peek()) chat.stop()
    else if (engine.loading.peek() !== undefined) engine.stopLoading()
    return
  }
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return
  const tab = TABS[Number(event.key) - 1]
  if (tab !== undefined) view.tab.value = tab
  else if (event.key === '?') view.isKeyHelpOpen.value = true
  else if (event.key === 'e' || event.key === 'E') {
    view.expert.value = view.expert.peek() === undefined ? firstExpert(page) : undefined
    if (view.expert.peek() === undefined) view.coloring.value = 'first'
  } else if (event.key === 'c' || event.key === 'C') {
    const isWeight = view.coloring.peek() === 'first'
    if (isWeight) view.expert.value ??= firstExpert(page) ?? 0
    view.coloring.value = isWeight ? 'weight' : 'first'
  }
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof Element && target.closest('input, textarea, select, [contenteditable]') !== null
}

/** The table of keys. */
export function KeyHelp({ page }: { page: Page }) {
  const { isKeyHelpOpen } = page.view
  if (!isKeyHelpOpen.value) return null
  return (
    <Dialog
      title="Keys"
      onClose={() => {
        isKeyHelpOpen.value = false
      }}
    >
      <dl class="keys">
        {KEYS.map(([keys, words]) => (
          <div key={keys}>
            <dt>
              <kbd>{keys}</kbd>
            </dt>
            <dd>{words}</dd>
          </div>
        ))}
      </dl>
      <form method="dialog" class="row end">
        <button type="submit" class="main">
          Close
        </button>
      </form>
    </Dialog>
  )
}
