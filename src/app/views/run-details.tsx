import { useSignal } from '@preact/signals'
import { formatBytes, formatCount } from '../format.ts'
import { openTrace } from '../recording.ts'
import type { Page } from '../state/page.ts'
import { Dialog } from './dialog.tsx'

/** What the run was made with, and saving or opening it as a file. */
export function RunDetails({ page }: { page: Page }) {
  const { run, engine } = page
  const isSaving = useSignal(false)
  void run.revision.value
  const info = run.info.value
  const storage = engine.storage.value
  return (
    <div class="run-details">
      {info !== undefined && (
        <dl>
          <dt>Run</dt>
          <dd>
            {info.origin === 'simulated'
              ? 'simulated'
              : run.origin.value === 'live'
                ? 'live, in this tab'
                : 'recorded'}
          </dd>
          <dt>Model</dt>
          <dd>{info.model.name}</dd>
          <dt>Shape</dt>
          <dd>{`${info.model.layers} layers, ${info.model.experts} experts, ${info.model.topK} chosen`}</dd>
          <dt>Tokens</dt>
          <dd>{`${formatCount(run.tokens?.length ?? 0, 'token')}, ${run.tokens?.countRead() ?? 0} read`}</dd>
          <dt>Device</dt>
          <dd>{[info.device.vendor, info.device.architecture].filter(Boolean).join(' ') || 'unnamed'}</dd>
          <dt>Engine</dt>
          <dd>{info.engine}</dd>
          {info.seed !== null && <dt>Seed</dt>}
          {info.seed !== null && <dd>{info.seed}</dd>}
          {storage !== undefined && <dt>Storage</dt>}
          {storage !== undefined && (
            <dd>
              {`${formatBytes(storage.usedBytes)} of ${formatBytes(storage.quotaBytes)}`}
              {storage.isPersistent ? ', kept' : ', may be cleared by the browser'}
            </dd>
          )}
        </dl>
      )}
      <div class="row">
        <button
          type="button"
          disabled={run.trace === undefined || page.chat.isRunning.value}
          onClick={() => {
            isSaving.value = true
          }}
        >
          Save trace…
        </button>
        <label class="file">
          <span>Open a trace</span>
          <input
            type="file"
            accept=".json,application/json"
            onChange={(event) => {
              const file = event.currentTarget.files?.[0]
              event.currentTarget.value = ''
              if (file !== undefined) void openTrace(page, file)
            }}
          />
        </label>
      </div>
      {isSaving.value && (
        <Dialog
          title="Save this trace"
          onClose={() => {
            isSaving.value = false
          }}
        >
          <p>
            The file holds the routing of every token. Should it hold the text as well? Without it nobody can
            read what was said.
          </p>
          <form method="dialog" class="row end">
            <button type="submit" class="main quiet-main">
              Cancel
            </button>
            <button type="submit" class="main quiet-main" onClick={() => void saveTrace(page, false)}>
              Without text
            </button>
            <button type="submit" class="main" onClick={() => void saveTrace(page, true)}>
              With text
            </button>
          </form>
        </Dialog>
      )}
    </div>
  )
}

async function saveTrace({ run, door }: Page, includeText: boolean): Promise<void> {
  const { trace } = run
  if (trace === undefined) return
  const { formatTrace } = await door
  const url = URL.createObjectURL(
    new Blob([formatTrace(trace, { includeText })], { type: 'application/json' }),
  )
  const link = document.createElement('a')
  link.href = url
  link.download = `${trace.info.model.id.replaceAll(/[^\w.-]+/g, '-')}.moe-trace.json`
  link.click()
  // The download starts after the click returns.
  setTimeout(() => URL.revokeObjectURL(url), 10_000)
}
