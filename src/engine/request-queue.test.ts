import { describe, expect, it } from 'vitest'
import { EngineError } from './errors.ts'
import { RequestQueue } from './request-queue.ts'

const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1))
const untilAborted = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))

describe('RequestQueue', () => {
  it('runs one thing at a time, in the order of asking, also after a failure', async () => {
    const queue = new RequestQueue()
    const log: string[] = []
    const work = (name: string, fails = false) =>
      queue
        .run('generate', name.length, async () => {
          log.push(`${name} begins`)
          await pause()
          log.push(`${name} ends`)
          if (fails) throw new Error(name)
        })
        .catch((error: Error) => log.push(`${error.message} failed`))
    await Promise.all([work('a', true), work('bb'), work('ccc')])
    expect(log.filter((line) => !line.endsWith('failed'))).toEqual([
      'a begins',
      'a ends',
      'bb begins',
      'bb ends',
      'ccc begins',
      'ccc ends',
    ])
    expect(log).toContain('a failed')
  })

  it('ends a running and a queued request by its id, and no other', async () => {
    const queue = new RequestQueue()
    const reason = new DOMException('enough', 'AbortError')
    let hasRun = false
    const first = queue.run('generate', 1, untilAborted)
    const second = queue.run('generate', 2, async () => {
      hasRun = true
    })
    const third = queue.run('generate', 3, async () => 'done')
    queue.abort(2, reason)
    queue.abort(1, reason)
    queue.abort(99, reason)
    await expect(first).rejects.toBe(reason)
    await expect(second).rejects.toBe(reason)
    expect(hasRun).toBe(false)
    expect(await third).toBe('done')
  })

  it('ends every request of a kind with the reason given', async () => {
    const queue = new RequestQueue()
    const reason = new EngineError('not-loaded', 'gone', { hint: 'load' })
    const running = queue.run('generate', 1, untilAborted)
    const load = queue.run('load', 2, async () => 'loaded')
    const queued = queue.run('generate', 3, async () => 'never')
    queue.endAll('generate', reason)
    await expect(running).rejects.toBe(reason)
    await expect(queued).rejects.toBe(reason)
    expect(await load).toBe('loaded')
  })
})
