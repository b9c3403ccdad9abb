// Numbers as people read them: decimal bytes, rates, times, shares.

const UNITS = ['bytes', 'kB', 'MB', 'GB', 'TB'] as const

/** Bytes in decimal units with three figures: `110.7 MB`. */
export function formatBytes(bytes: number): string {
  let value = Math.max(0, bytes)
  let unit = 0
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000
    unit++
  }
  const digits = unit === 0 || value >= 999.5 ? 0 : value >= 100 ? 1 : value >= 10 ? 1 : 2
  return `${value.toFixed(digits)} ${UNITS[unit]}`
}

/** A rate with a unit: `2.1 tok/s`; a dash when there is none. */
export function formatRate(perSecond: number, unit = 'tok/s'): string {
  if (!Number.isFinite(perSecond) || perSecond <= 0) return '–'
  return `${perSecond >= 100 ? perSecond.toFixed(0) : perSecond.toFixed(1)} ${unit}`
}

/** Milliseconds, or seconds from one second on: `3.9 ms`, `1.92 s`. */
export function formatMs(ms: number): string {
  if (ms >= 1000) return `${(ms / 1000).toFixed(ms >= 10_000 ? 1 : 2)} s`
  return `${ms >= 100 ? ms.toFixed(0) : ms.toFixed(1)} ms`
}

/** Time left, in words that do not flicker: `about 2 min`, `about 20 s`. */
export function formatTimeLeft(seconds: number): string {
  if (seconds >= 90) return `about ${Math.round(seconds / 60)} min`
  if (seconds >= 10) return `about ${Math.ceil(seconds / 5) * 5} s`
  return 'a few seconds'
}

/** A share 0–1 as percent: `62 %`. */
export function formatShare(share: number): string {
  return `${Math.round(share * 100)} %`
}

/** A count with its noun: `1 token`, `24 tokens`. */
export function formatCount(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}
