// Runs from files: the recorded run of the first screen, a trace file like any other, and traces that a person opens.
import { readTranscript } from './a11y/transcript.ts'
import { formatCount } from './format.ts'
import type { Page } from './state/page.ts'
import { toProblem } from './state/problem.ts'

/** Fetches the recording and shows it, unless something else is shown by then. */
export async function readRecording(page: Page, url: string): Promise<void> {
  const { run, chat, view } = page
  try {
    const [response, { parseTrace }] = await Promise.all([fetch(url), page.door])
    if (!response.ok) throw new Error(`The recorded run could not be read: status ${response.status}.`)
    const trace = parseTrace(await response.text())
    if (run.info.peek() !== undefined || chat.isLive.peek()) return
    view.fit(trace.info.model.layers, trace.info.model.experts)
    run.show(trace, 'recorded')
    chat.showTranscript(readTranscript(trace.tokens))
    if (!matchMedia('(prefers-reduced-motion: reduce)').matches) run.play()
  } catch (error) {
    run.problem.value = toProblem(error)
  } finally {
    view.keepAddress()
  }
}

/** Shows a trace from a file, or why it cannot be shown. */
export async function openTrace(page: Page, file: Blob): Promise<void> {
  page.run.problem.value = undefined
  try {
    const { parseTrace } = await page.door
    const trace = parseTrace(await file.text())
    page.run.show(trace, 'imported')
    page.view.fit(trace.info.model.layers, trace.info.model.experts)
    // A conversation stays where it is; its own tokens come back with its next message.
    if (!page.chat.isLive.peek()) page.chat.showTranscript(readTranscript(trace.tokens))
    page.announcer.say(`Opened a trace of ${formatCount(trace.tokens.length, 'token')}.`)
  } catch (error) {
    page.run.problem.value = toProblem(error)
  }
}
