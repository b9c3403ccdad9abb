import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import type { ModelInfo } from '../../index.ts'
import { DEFAULT_OFFER } from '../catalog.ts'
import { formatBytes } from '../format.ts'
import type { Page } from '../state/page.ts'
import { Dialog } from './dialog.tsx'
import { LoadProgressView } from './load-progress.tsx'
import { ProblemBox } from './problem.tsx'

/** The model: what it is, what it costs, and the way to load, stop or delete it. */
export function ModelBar({ page }: { page: Page }) {
  const { engine } = page
  const deleting = useSignal<ModelInfo | undefined>(undefined)
  const problem = engine.problem.value
  const missing = engine.missing.value
  return (
    <section class="model" aria-labelledby="model-title">
      {missing !== undefined ? (
        <>
          <h2 id="model-title">The engine cannot run here</h2>
          <ProblemBox problem={missing} />
          <p class="row">
            <span>The recorded run below works without it.</span>
            <button type="button" onClick={() => void engine.start()}>
              Check again
            </button>
          </p>
        </>
      ) : (
        <ModelCard
          page={page}
          onDelete={(model) => {
            deleting.value = model
          }}
        />
      )}
      {problem !== undefined && (
        <ProblemBox
          problem={problem}
          onClose={() => {
            engine.problem.value = undefined
          }}
        />
      )}
      {deleting.value !== undefined && (
        <DeleteDialog
          page={page}
          model={deleting.value}
          onClose={() => {
            deleting.value = undefined
          }}
        />
      )}
    </section>
  )
}

function ModelCard({ page, onDelete }: { page: Page; onDelete: (model: ModelInfo) => void }) {
  const { engine } = page
  const loading = engine.loading.value
  const model = engine.model.value
  const stored = engine.stored.value
  const current = model ?? stored.find(({ id }) => id === DEFAULT_OFFER.id)
  const isBusy = engine.engine.value === undefined
  const focused = document.querySelector('.model :focus')
  useEffect(() => {
    // The button with the focus is gone: the bar's main button is next, or the message when the model is ready.
    if (focused?.isConnected === false) document.querySelector<HTMLElement>('.model .main, #message')?.focus()
  })
  if (loading !== undefined) return <LoadProgressView engine={engine} loading={loading} />
  return (
    <>
      <div class="card">
        <div>
          <h2 id="model-title">{current?.name ?? DEFAULT_OFFER.name}</h2>
          {model !== undefined && (
            <p class="quiet">
              {`Loaded: ${model.layers} layers, ${model.experts} experts in each, ${model.topK} for every token.`}
            </p>
          )}
          {model === undefined && current !== undefined && (
            <p>{`Ready from this device, ${formatBytes(current.storedBytes)}.`}</p>
          )}
          {current === undefined && (
            <>
              <p>{DEFAULT_OFFER.about}</p>
              <p class="quiet">
                {DEFAULT_OFFER.license} · download {formatBytes(DEFAULT_OFFER.downloadBytes)} · about{' '}
                {formatBytes(DEFAULT_OFFER.storedBytes)} on disk · your text stays on this device
              </p>
            </>
          )}
          {engine.wasStopped.value && model === undefined && (
            <p class="quiet">Stopped. What was stored is kept; loading again goes on from there.</p>
          )}
        </div>
        <div class="row">
          {model === undefined && (
            <button
              type="button"
              class="main"
              disabled={isBusy}
              onClick={() => void engine.load(current?.id ?? DEFAULT_OFFER.id)}
            >
              {current === undefined ? 'Download and load' : 'Load'}
            </button>
          )}
          {model !== undefined && (
            <button type="button" onClick={() => void engine.unload()}>
              Unload
            </button>
          )}
          {current !== undefined && (
            <button type="button" onClick={() => onDelete(current)}>
              Delete…
            </button>
          )}
        </div>
      </div>
      <OtherModels page={page} currentId={current?.id} onDelete={onDelete} />
    </>
  )
}

function OtherModels(props: {
  page: Page
  currentId: string | undefined
  onDelete: (model: ModelInfo) => void
}) {
  const { engine } = props.page
  const others = engine.stored.value.filter(({ id }) => id !== props.currentId)
  const isOfferHidden = props.currentId !== undefined && props.currentId !== DEFAULT_OFFER.id
  const hasOffer = isOfferHidden && !others.some(({ id }) => id === DEFAULT_OFFER.id)
  return (
    <details>
      <summary>Other models</summary>
      <ul class="models">
        {hasOffer && (
          <li class="row">
            <span>{`${DEFAULT_OFFER.name}, download ${formatBytes(DEFAULT_OFFER.downloadBytes)}`}</span>
            <button type="button" onClick={() => void engine.load(DEFAULT_OFFER.id)}>
              Download and load
            </button>
          </li>
        )}
        {others.map((model) => (
          <li class="row" key={model.id}>
            <span>{`${model.name}, ${formatBytes(model.storedBytes)} on this device`}</span>
            <button type="button" onClick={() => void engine.load(model.id)}>
              Load
            </button>
            <button type="button" onClick={() => props.onDelete(model)}>
              Delete…
            </button>
          </li>
        ))}
        <li>
          <label class="file">
            <span>Open .gguf files, all shards together, or drop them anywhere on the page</span>
            <input
              type="file"
              multiple
              accept=".gguf"
              disabled={engine.engine.value === undefined}
              onChange={(event) => {
                const files = [...(event.currentTarget.files ?? [])]
                event.currentTarget.value = ''
                if (files.length > 0) void engine.load({ files })
              }}
            />
          </label>
        </li>
      </ul>
    </details>
  )
}

function DeleteDialog({ page, model, onClose }: { page: Page; model: ModelInfo; onClose: () => void }) {
  return (
    <Dialog title="Delete this model?" onClose={onClose}>
      <p>{`${model.name}, ${formatBytes(model.storedBytes)}, is removed from this device. It can be downloaded again.`}</p>
      <form method="dialog" class="row end">
        <button type="submit" class="main quiet-main">
          Keep
        </button>
        <button type="submit" class="main" onClick={() => void page.engine.delete(model.id)}>
          Delete
        </button>
      </form>
    </Dialog>
  )
}
