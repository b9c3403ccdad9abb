// What session tests share: sessions in this thread with their events, closed after each test.
import { expect, vi } from 'vitest'
import { EngineError } from '../src/engine/errors.ts'
import type { TextRequest } from '../src/engine/generation.ts'
import type { TokenEvent } from '../src/engine/protocol.ts'
import { Session } from '../src/engine/session.ts'
import type { SessionOptions, WorkerEvent } from '../src/engine/session-api.ts'
import { makeTinyModel, type TinyModelOptions } from './fixtures/tiny-model.ts'

const GREEDY = { temperature: 0, topP: 1, topK: 0, minP: 0, repetitionPenalty: 1 }
let nextRequest = 1

/** An id for the next request. */
export const nextId = (): number => nextRequest++

const open: Session[] = []

/** For `afterEach`: closes what the test opened and gives back what it replaced. */
export async function closeSessions(): Promise<void> {
  vi.unstubAllGlobals()
  for (const session of open.splice(0)) await session.close()
}

export async function openSession(options: Partial<SessionOptions> = {}) {
  const session = new Session()
  open.push(session)
  const events: WorkerEvent[] = []
  await session.open({ catalog: [], minimalDevice: false, ...options }, (batch) => events.push(...batch))
  return {
    session,
    events,
    tokens: () => events.flatMap((event): TokenEvent[] => (event.type === 'token' ? [event.event] : [])),
    text: () => events.flatMap((event) => (event.type === 'text' ? [event.text] : [])).join(''),
  }
}

export async function openTiny(options: TinyModelOptions = {}, sessionOptions: Partial<SessionOptions> = {}) {
  const opened = await openSession(sessionOptions)
  const { files } = makeTinyModel(options)
  const model = await opened.session.load(nextId(), { files, id: `session-${options.seed ?? 1}` }, undefined)
  return { ...opened, model }
}

export const completion = (
  prompt: string,
  maxTokens = 6,
  sampling: Partial<TextRequest['sampling']> = {},
): TextRequest => ({
  input: { kind: 'completion', prompt },
  sampling: { ...GREEDY, ...sampling },
  seed: 5,
  maxTokens,
  stop: [],
})

export async function failure(work: Promise<unknown>): Promise<EngineError> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(EngineError)
  return error as EngineError
}

/** Resolves when the session has emitted `count` token events. */
export async function tokensSeen(tokens: () => TokenEvent[], count: number): Promise<void> {
  await vi.waitFor(() => expect(tokens().length).toBeGreaterThanOrEqual(count), {
    timeout: 30_000,
    interval: 2,
  })
}
