import { useSignal } from '@preact/signals'
import { useRef } from 'preact/hooks'
import type { Page } from '../state/page.ts'
import { NUMBER_FIELDS } from '../state/settings.ts'
import { ProblemBox } from './problem.tsx'

/** Where a message is written, run and stopped, with the settings of a run. */
export function Composer({ page }: { page: Page }) {
  const { chat, engine, settings } = page
  const text = useSignal('')
  const form = useRef<HTMLFormElement>(null)
  const isReady = engine.model.value !== undefined && engine.loading.value === undefined
  const isRunning = chat.isRunning.value
  const problem = chat.problem.value
  const send = async (): Promise<void> => {
    const message = text.value.trim()
    if (message === '' || !isReady || isRunning) return
    text.value = ''
    const wasSaid = await chat.send(message, settings.read())
    if (!wasSaid && text.value === '') text.value = message
  }
  return (
    <form
      ref={form}
      class="composer"
      aria-label="Message"
      onSubmit={(event) => {
        event.preventDefault()
        void send()
      }}
    >
      {problem !== undefined && (
        <ProblemBox
          problem={problem}
          onClose={() => {
            chat.problem.value = undefined
          }}
        />
      )}
      <label for="message" class="sr-only">
        Your message
      </label>
      <textarea
        id="message"
        rows={3}
        dir="auto"
        placeholder={isReady ? 'Ask something short' : 'Load the model to ask something'}
        value={text}
        onInput={(event) => {
          text.value = event.currentTarget.value
        }}
        onKeyDown={(event) => {
          if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
            event.preventDefault()
            form.current?.requestSubmit()
          }
        }}
      />
      <div class="row">
        {/* A button that became `disabled` would drop the focus; `send` and `stop` refuse by themselves. */}
        <button type="submit" class="main" aria-disabled={!isReady || isRunning || text.value.trim() === ''}>
          Run
        </button>
        <button type="button" class="main quiet-main" aria-disabled={!isRunning} onClick={() => chat.stop()}>
          Stop
        </button>
        <span class="quiet hint">
          <kbd>Ctrl</kbd> or <kbd>⌘</kbd> + <kbd>Enter</kbd> runs, <kbd>Esc</kbd> stops
        </span>
      </div>
      <SettingsForm page={page} />
    </form>
  )
}

function SettingsForm({ page }: { page: Page }) {
  const { settings } = page
  const details = useRef<HTMLDetailsElement>(null)
  return (
    <details ref={details}>
      <summary>Settings</summary>
      <div
        class="settings"
        onInvalidCapture={() => {
          if (details.current !== null) details.current.open = true
        }}
      >
        <label class="wide">
          System prompt
          <textarea
            rows={2}
            dir="auto"
            placeholder="Empty: the model’s own"
            value={settings.systemPrompt}
            onInput={(event) => {
              settings.systemPrompt.value = event.currentTarget.value
            }}
          />
        </label>
        {NUMBER_FIELDS.map(({ key, label, effect, min, max, step, initial }) => {
          const value = settings.numbers.get(key)
          return (
            <label key={key}>
              {label}
              <input
                type="number"
                inputMode="decimal"
                min={min}
                max={max}
                step={step < 1 ? 'any' : step}
                required={initial !== undefined}
                value={value}
                aria-describedby={`effect-${key}`}
                onInput={(event) => {
                  if (value !== undefined) value.value = event.currentTarget.value
                }}
              />
              <small id={`effect-${key}`}>{effect}</small>
            </label>
          )
        })}
      </div>
    </details>
  )
}
