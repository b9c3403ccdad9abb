import type { Announcer } from '../a11y/announce.ts'
import type { FrameLoop } from '../frame-loop.ts'
import type { ChatState } from './chat-state.ts'
import type { EngineState } from './engine-state.ts'
import type { RunState } from './run-state.ts'
import type { SettingsState } from './settings.ts'
import type { ViewState } from './view-state.ts'

/** What the page takes from the engine's public door; it arrives after the first paint. */
export type Door = Pick<
  typeof import('../../index.ts'),
  'createEngine' | 'formatTrace' | 'parseTrace' | 'traceFromEvents'
>

/** Everything the views read and act on. */
export interface Page {
  door: Promise<Door>
  loop: FrameLoop
  announcer: Announcer
  view: ViewState
  run: RunState
  engine: EngineState
  chat: ChatState
  settings: SettingsState
}
