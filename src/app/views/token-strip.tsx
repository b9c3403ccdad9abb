import { useSignalEffect } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'
import { describeLayer, nameToken } from '../a11y/describe.ts'
import { Strip } from '../draw/strip.ts'
import type { Page } from '../state/page.ts'
import { ORIGIN_WORDS } from '../state/run-state.ts'
import { ProblemBox } from './problem.tsx'

/** The tokens of the run in place, colored by their experts; one tab stop with roving focus. */
export function TokenStrip({ page }: { page: Page }) {
  const { run, view } = page
  const host = useRef<HTMLDivElement>(null)
  const strip = useRef<Strip>(undefined)

  useEffect(() => {
    if (host.current === null) return
    const made = new Strip(host.current)
    strip.current = made
    return page.loop.add(() => made.work())
  }, [page])
  useSignalEffect(() => {
    void run.revision.value
    strip.current?.sync(run.tokens, run.takeDirty())
    page.loop.wake()
  })
  useSignalEffect(() => {
    strip.current?.color({
      layer: view.layer.value,
      coloring: view.coloring.value,
      expert: view.expert.value,
    })
    page.loop.wake()
  })
  useSignalEffect(() => {
    strip.current?.setPlayhead(run.playhead.value)
  })
  useSignalEffect(() => {
    strip.current?.select(run.selected.value)
  })

  const experts = run.info.value?.model.experts ?? 0
  return (
    <section class="strip-panel" aria-labelledby="strip-title">
      <div class="heading">
        <h2 id="strip-title">Tokens</h2>
        {run.origin.value === 'imported' && <span class="badge">{ORIGIN_WORDS.imported}</span>}
        <span class="row">
          {run.origin.value === 'imported' && page.chat.isLive.value && (
            <button type="button" class="plain" onClick={() => run.showLive()}>
              Back to live
            </button>
          )}
          <PlayButton page={page} />
        </span>
      </div>
      <StripTools page={page} />
      {run.problem.value !== undefined && (
        <ProblemBox
          problem={run.problem.value}
          onClose={() => {
            run.problem.value = undefined
          }}
        />
      )}
      <div
        ref={host}
        class="strip"
        role="listbox"
        aria-label="Tokens of the run"
        aria-orientation="horizontal"
        data-numbers={experts <= 16 ? 'always' : 'asked'}
        data-coloring={view.coloring.value}
        onClick={(event) => {
          const token = strip.current?.tokenOf(event.target)
          if (token !== undefined) run.select(token)
        }}
        onFocusIn={(event) => {
          const token = strip.current?.tokenOf(event.target)
          if (token !== undefined && token !== run.selected.peek()) run.select(token)
        }}
        onKeyDown={(event) => {
          if (moveInStrip(page, event)) {
            event.preventDefault()
            strip.current?.focus(run.selected.peek())
          }
        }}
      />
    </section>
  )
}

function PlayButton({ page }: { page: Page }) {
  const { run } = page
  if (run.origin.value === 'live' || run.info.value === undefined) return null
  const words = run.isPlaying.value ? 'Pause' : run.playhead.value === undefined ? 'Replay' : 'Go on'
  return (
    <button type="button" class="plain" onClick={() => (run.isPlaying.value ? run.pause() : run.play())}>
      {words}
    </button>
  )
}

function StripTools({ page }: { page: Page }) {
  const { run, view } = page
  const model = run.info.value?.model
  const layers = model?.layers ?? 1
  const experts = model?.experts ?? 1
  return (
    <div class="row tools">
      <label>
        Color by{' '}
        <select
          value={view.coloring.value}
          onChange={(event) => {
            const isWeight = event.currentTarget.value === 'weight'
            if (isWeight) view.expert.value ??= firstExpert(page) ?? 0
            view.coloring.value = isWeight ? 'weight' : 'first'
          }}
        >
          <option value="first">first expert</option>
          <option value="weight">weight of an expert</option>
        </select>
      </label>
      <label>
        Layer{' '}
        <select
          value={String(view.layer.value)}
          onChange={(event) => {
            view.layer.value = Number(event.currentTarget.value)
          }}
        >
          {Array.from({ length: layers }, (_, layer) => (
            <option key={layer} value={String(layer)}>
              {layer}
            </option>
          ))}
        </select>
      </label>
      <label>
        Expert{' '}
        <select
          id="expert-choice"
          value={view.expert.value === undefined ? '' : String(view.expert.value)}
          onChange={(event) => {
            const { value } = event.currentTarget
            view.expert.value = value === '' ? undefined : Number(value)
            if (value === '') view.coloring.value = 'first'
          }}
        >
          <option value="">all</option>
          {Array.from({ length: experts }, (_, expert) => (
            <option key={expert} value={String(expert)}>
              {expert}
            </option>
          ))}
        </select>
      </label>
    </div>
  )
}

/** The first choice of the token in view at the layer in view. */
export function firstExpert({ run, view }: Page): number | undefined {
  return run.tokens?.expertAt(Math.max(0, run.selected.peek()), view.layer.peek(), 0)
}

/** Moves by a key of the strip; returns whether the key was one. */
function moveInStrip(page: Page, event: KeyboardEvent): boolean {
  if (event.ctrlKey || event.metaKey || event.altKey) return false
  const { run, view, announcer } = page
  const { tokens } = run
  if (tokens === undefined) return false
  const token = run.selected.peek()
  const lastLayer = tokens.shape.layers - 1
  const moveLayer = (layer: number): void => {
    view.layer.value = Math.max(0, Math.min(lastLayer, layer))
    if (token >= 0) announcer.say(describeLayer(view.layer.value, tokens.choices(token, view.layer.value)))
  }
  switch (event.key) {
    case 'ArrowLeft':
      run.select(token - 1)
      return true
    case 'ArrowRight':
      run.select(token + 1)
      return true
    case 'Home':
      run.select(0)
      return true
    case 'End':
      run.select(tokens.length - 1)
      return true
    case 'ArrowUp':
      moveLayer(view.layer.peek() - 1)
      return true
    case 'ArrowDown':
      moveLayer(view.layer.peek() + 1)
      return true
    case ' ':
      if (run.origin.peek() === 'live') return true
      if (run.isPlaying.peek()) run.pause()
      else run.play()
      announcer.say(run.isPlaying.peek() ? 'Playing.' : `Paused at ${nameToken(tokens.facts(token).text)}.`)
      return true
    default:
      return false
  }
}
