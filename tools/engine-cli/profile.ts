// The kept browser profile in the user's cache folder, and the lock that makes concurrent runs wait.
import { linkSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { homedir, platform } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** Folder for the profile: SWITCHYARD_CACHE, or the place the platform has for caches. */
export function cacheFolder(): string {
  const named = process.env['SWITCHYARD_CACHE']
  if (named) return named
  if (platform() === 'darwin') return join(homedir(), 'Library', 'Caches', 'switchyard')
  if (platform() === 'win32') return join(process.env['LOCALAPPDATA'] ?? homedir(), 'switchyard')
  return join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'switchyard')
}

/**
 * Waits until no other run holds the lock, then takes it; a lock whose process is gone is taken over.
 * Returns what gives it back. `onWait` is called once, with the holder's process id.
 */
export async function takeLock(folder: string, onWait: (holder: number) => void): Promise<() => void> {
  mkdirSync(folder, { recursive: true })
  const lock = join(folder, 'run.lock')
  // Linking a finished file makes the lock appear with its content, or not at all.
  const own = join(folder, `run.lock.${process.pid}`)
  writeFileSync(own, String(process.pid))
  const removeOwn = () => rmSync(own, { force: true })
  process.once('exit', removeOwn)
  let hasWaited = false
  try {
    while (!isTaken(own, lock)) {
      const holder = readHolder(lock)
      if (holder === undefined) continue
      if (!isAlive(holder)) {
        rmSync(lock, { force: true })
        continue
      }
      if (!hasWaited) onWait(holder)
      hasWaited = true
      await sleep(200)
    }
  } finally {
    process.off('exit', removeOwn)
    removeOwn()
  }
  return () => rmSync(lock, { force: true })
}

function isTaken(own: string, lock: string): boolean {
  try {
    linkSync(own, lock)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

function readHolder(lock: string): number | undefined {
  try {
    return Number(readFileSync(lock, 'utf8'))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** The profile's folder, emptied when `isFresh`. Call with the lock held. */
export function prepareProfile(folder: string, isFresh: boolean): string {
  const profile = join(folder, 'profile')
  if (isFresh) rmSync(profile, { recursive: true, force: true })
  mkdirSync(profile, { recursive: true })
  // The run lock is held, so what a killed browser left behind belongs to nobody.
  for (const name of readdirSync(profile)) {
    if (name.startsWith('Singleton')) rmSync(join(profile, name), { force: true })
  }
  return profile
}
