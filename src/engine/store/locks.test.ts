import { describe, expect, it } from 'vitest'
import { createLocalLocks } from './local-locks.ts'
import { createModelLocks } from './locks.ts'

/** Two tabs of one site: two lock objects over the same lock manager. */
function makeTabs() {
  const manager = createLocalLocks()
  return [createModelLocks(manager), createModelLocks(manager)] as const
}

function gate() {
  let open: () => void = () => undefined
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { open, opened }
}

const turn = () => new Promise((resolve) => setTimeout(resolve, 1))

describe('whileImporting', () => {
  it('lets one tab work and tells the other that it waits', async () => {
    const [one, two] = makeTabs()
    const { open, opened } = gate()
    const order: string[] = []
    const first = one.whileImporting('m', async () => {
      await opened
      order.push('first')
      return 1
    })
    const second = two.whileImporting('m', async () => order.push('second'), {
      onWaiting: () => order.push('waiting'),
    })
    await turn()
    expect(order).toEqual(['waiting'])
    open()
    expect(await first).toBe(1)
    await second
    expect(order).toEqual(['waiting', 'first', 'second'])
  })

  it('of different models does not wait', async () => {
    const [one, two] = makeTabs()
    const { open, opened } = gate()
    const first = one.whileImporting('a', () => opened)
    expect(await two.whileImporting('b', async () => 2)).toBe(2)
    open()
    await first
  })

  it('is left by an abort while waiting, and freed by a failure', async () => {
    const [one, two] = makeTabs()
    const { open, opened } = gate()
    const first = one.whileImporting('m', async () => {
      await opened
      throw new Error('broken')
    })
    const controller = new AbortController()
    const second = two.whileImporting('m', async () => 2, { signal: controller.signal })
    await turn()
    controller.abort()
    await expect(second).rejects.toThrow(expect.objectContaining({ name: 'AbortError' }))
    open()
    await expect(first).rejects.toThrow('broken')
    expect(await two.whileImporting('m', async () => 3)).toBe(3)
    await expect(two.whileImporting('m', async () => 4, { signal: controller.signal })).rejects.toThrow(
      expect.objectContaining({ name: 'AbortError' }),
    )
  })
})

describe('whileDeleting', () => {
  it('is busy while any tab has the model loaded', async () => {
    const [one, two] = makeTabs()
    const releaseOne = await one.holdLoaded('m')
    const releaseTwo = await two.holdLoaded('m')
    await expect(two.whileDeleting('m', async () => 1)).rejects.toMatchObject({
      code: 'busy',
      details: { model: 'm' },
    })
    releaseOne()
    await turn()
    await expect(two.whileDeleting('m', async () => 1)).rejects.toMatchObject({ code: 'busy' })
    releaseTwo()
    await turn()
    expect(await two.whileDeleting('m', async () => 1)).toBe(1)
  })

  it('is busy while the model is imported', async () => {
    const [one, two] = makeTabs()
    const { open, opened } = gate()
    const importing = one.whileImporting('m', () => opened)
    await expect(two.whileDeleting('m', async () => 1)).rejects.toThrow(/being imported/)
    open()
    await importing
    expect(await two.whileDeleting('m', async () => 1)).toBe(1)
  })

  it('keeps others from loading until it is done', async () => {
    const [one, two] = makeTabs()
    const { open, opened } = gate()
    const order: string[] = []
    const deleting = one.whileDeleting('m', async () => {
      await opened
      order.push('deleted')
    })
    await turn()
    const loading = two.holdLoaded('m').then(() => order.push('loaded'))
    await turn()
    open()
    await Promise.all([deleting, loading])
    expect(order).toEqual(['deleted', 'loaded'])
  })
})

it('local locks let an exclusive request pass before later shared ones', async () => {
  const manager = createLocalLocks()
  const { open, opened } = gate()
  const order: string[] = []
  const requests = [
    manager.request('x', { mode: 'shared' }, () => opened),
    manager.request('x', {}, async () => order.push('exclusive')),
    manager.request('x', { mode: 'shared' }, async () => order.push('shared')),
  ]
  expect(await manager.request('x', { mode: 'shared', ifAvailable: true }, async (lock) => lock)).toBeNull()
  open()
  await Promise.all(requests)
  expect(order).toEqual(['exclusive', 'shared'])
})
