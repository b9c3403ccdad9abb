import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { prepareProfile, takeLock } from './profile.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'switchyard-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

describe('takeLock', () => {
  test('makes a second run wait until the first gives the lock back', async () => {
    const order: string[] = []
    const releaseFirst = await takeLock(folder, () => order.push('first waits'))
    const second = takeLock(folder, (holder) => order.push(`second waits for ${holder}`)).then((release) => {
      order.push('second runs')
      release()
    })
    await new Promise((resolve) => setTimeout(resolve, 300))
    order.push('first ends')
    releaseFirst()
    await second
    expect(order).toEqual([`second waits for ${process.pid}`, 'first ends', 'second runs'])
    expect(readdirSync(folder)).toEqual([])
  })

  test('takes over the lock of a process that is gone', async () => {
    // Larger than any process id that Linux, macOS or Windows hands out.
    writeFileSync(join(folder, 'run.lock'), '2000000000')
    const release = await takeLock(folder, () => expect.unreachable())
    release()
    expect(existsSync(join(folder, 'run.lock'))).toBe(false)
  })
})

describe('prepareProfile', () => {
  test('keeps what is stored, removes what a killed browser left, and empties a fresh profile', () => {
    mkdirSync(join(folder, 'profile'))
    writeFileSync(join(folder, 'profile', 'stored'), '')
    writeFileSync(join(folder, 'profile', 'SingletonLock'), '')
    expect(readdirSync(prepareProfile(folder, false))).toEqual(['stored'])
    expect(readdirSync(prepareProfile(folder, true))).toEqual([])
  })
})
