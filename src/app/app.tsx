import { render } from 'preact'
import type { DeviceInfo, ModelInfo, TraceInfo } from '../index.ts'
import { Announcer } from './a11y/announce.ts'
import { FrameLoop } from './frame-loop.ts'
import { openTrace, readRecording } from './recording.ts'
import { ChatState } from './state/chat-state.ts'
import { EngineState } from './state/engine-state.ts'
import type { Door, Page } from './state/page.ts'
import { RunState } from './state/run-state.ts'
import { SettingsState } from './state/settings.ts'
import { ViewState } from './state/view-state.ts'
import { Composer } from './views/composer.tsx'
import { Conversation } from './views/conversation.tsx'
import { Header } from './views/header.tsx'
import { handleKey, KeyHelp } from './views/keys.tsx'
import { ModelBar } from './views/model-bar.tsx'
import { Panel } from './views/panel.tsx'
import { TokenStrip } from './views/token-strip.tsx'

export interface AppOptions {
  door: Promise<Door>
  /** Address of the recorded run. */
  recordingUrl: string
  engineVersion: string
}

/** Puts the page into `root`: the recorded run first, the engine when its device was checked. */
export function mountApp(root: HTMLElement, options: AppOptions): Page {
  const page = createPage(options)
  page.chat.showTranscript(readStaticTranscript(root))
  root.textContent = ''
  render(<App page={page} />, root)
  addEventListener('keydown', (event) => handleKey(page, event))
  takeDrops(page)
  void readRecording(page, options.recordingUrl)
  void page.engine.start()
  return page
}

function createPage({ door, engineVersion }: AppOptions): Page {
  const loop = new FrameLoop()
  const announcer = new Announcer()
  const view = new ViewState()
  const run = new RunState(loop)
  const engine = new EngineState(
    door,
    announcer,
    (event) => run.take(event),
    (model, device, { traceFromEvents }) => {
      run.startModel(traceFromEvents(describeRun(model, device, engineVersion), []))
      view.fit(model.layers, model.experts)
    },
  )
  const chat = new ChatState(engine, run, loop, announcer)
  return { door, loop, announcer, view, run, engine, chat, settings: new SettingsState() }
}

function describeRun(model: ModelInfo, device: DeviceInfo, engine: string): TraceInfo {
  const { id, name, layers, experts, topK } = model
  return {
    engine,
    origin: 'recorded',
    model: { id, name, layers, experts, topK },
    policy: 'resident',
    budgets: { gpuBudgetBytes: null, hostBudgetBytes: null },
    seed: null,
    device: { vendor: device.vendor, architecture: device.architecture },
  }
}

function App({ page }: { page: Page }) {
  return (
    <>
      <a class="skip" href="#message">
        Skip to the message
      </a>
      <Header page={page} />
      <LostBanner page={page} />
      <main>
        <ModelBar page={page} />
        <div class="columns">
          <div class="column">
            <Conversation page={page} />
            <Composer page={page} />
          </div>
          <div class="column">
            <TokenStrip page={page} />
            <Panel page={page} />
          </div>
        </div>
      </main>
      <KeyHelp page={page} />
      <div class="sr-only" role="status">
        {page.announcer.text}
      </div>
    </>
  )
}

function LostBanner({ page }: { page: Page }) {
  const lost = page.engine.lost.value
  if (lost === undefined) return null
  return (
    <div class="banner" role="alert">
      <p>
        <strong>The graphics device was lost.</strong> {lost} What was said and the stored model are still
        here.
      </p>
      <button type="button" class="main" onClick={() => void page.engine.restart()}>
        Start again
      </button>
    </div>
  )
}

/** The recorded conversation that the page's own markup shows before any script. */
function readStaticTranscript(root: HTMLElement): { role: string; text: string }[] {
  return [...root.querySelectorAll<HTMLElement>('[data-role]')].map((element) => ({
    role: element.dataset['role'] ?? 'text',
    text: element.querySelector('p')?.textContent ?? '',
  }))
}

/** Model files and traces may be dropped anywhere. */
function takeDrops(page: Page): void {
  addEventListener('dragover', (event) => {
    if (event.dataTransfer?.types.includes('Files')) event.preventDefault()
  })
  addEventListener('drop', (event) => {
    const files = [...(event.dataTransfer?.files ?? [])]
    if (files.length === 0) return
    event.preventDefault()
    const models = files.filter(({ name }) => name.toLowerCase().endsWith('.gguf'))
    const trace = files.find(({ name }) => name.toLowerCase().endsWith('.json'))
    if (models.length > 0) void page.engine.load({ files: models })
    else if (trace !== undefined) void openTrace(page, trace)
    else page.announcer.say('Only .gguf models and .json traces can be opened.')
  })
}
