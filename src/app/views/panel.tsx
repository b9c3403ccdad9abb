import { useSignal } from '@preact/signals'
import type { ComponentType } from 'preact'
import { useEffect } from 'preact/hooks'
import type { Page } from '../state/page.ts'
import { TABS, type Tab } from '../state/view-state.ts'
import { Experts } from './experts.tsx'
import { Inspector } from './inspector.tsx'

const TAB_WORDS: Record<Tab, string> = { token: 'Token', experts: 'Experts', run: 'Run' }
const VIEWS: Record<Tab, ComponentType<{ page: Page }>> = { token: Inspector, experts: Experts, run: LazyRun }

/** The tab of a run's facts and files, whose code comes with its first opening. */
function LazyRun({ page }: { page: Page }) {
  const view = useSignal<ComponentType<{ page: Page }> | undefined>(undefined)
  useEffect(() => {
    void import('./run-details.tsx').then(({ RunDetails }) => {
      view.value = RunDetails
    })
  }, [view])
  const View = view.value
  return View === undefined ? <p class="quiet">Opening…</p> : <View page={page} />
}

/** The tabs beside the strip; only the open one is mounted. */
export function Panel({ page }: { page: Page }) {
  const { view } = page
  const tab = view.tab.value
  const View = VIEWS[tab]
  return (
    <section class="panel" aria-label="Routing">
      <div
        class="tabs"
        role="tablist"
        aria-label="Views of the routing"
        onKeyDown={(event) => {
          const step = event.key === 'ArrowRight' ? 1 : event.key === 'ArrowLeft' ? -1 : 0
          if (step === 0) return
          event.preventDefault()
          const next = TABS[(TABS.indexOf(tab) + step + TABS.length) % TABS.length] ?? tab
          view.tab.value = next
          document.getElementById(`tab-${next}`)?.focus()
        }}
      >
        {TABS.map((name) => (
          <button
            key={name}
            type="button"
            role="tab"
            id={`tab-${name}`}
            aria-selected={name === tab}
            aria-controls={name === tab ? 'tab-panel' : undefined}
            tabIndex={name === tab ? 0 : -1}
            onClick={() => {
              view.tab.value = name
            }}
          >
            {TAB_WORDS[name]}
          </button>
        ))}
      </div>
      <div id="tab-panel" role="tabpanel" aria-labelledby={`tab-${tab}`}>
        <View page={page} />
      </div>
    </section>
  )
}
