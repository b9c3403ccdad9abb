// What people see: progress on stderr, results as indented lines on stdout.
import type { LoadProgress } from '../../src/engine/protocol.ts'

/** Prints progress: one line rewritten in a terminal, a line a stage or tenth elsewhere. */
export class ProgressLine {
  #last = ''
  readonly #isTerminal = process.stderr.isTTY === true

  load({ stage, doneBytes, totalBytes, bytesPerSecond, doneShare }: LoadProgress): void {
    const rate = bytesPerSecond > 0 ? ` at ${megabytes(bytesPerSecond)}/s` : ''
    const bytes = totalBytes > 0 ? ` ${megabytes(doneBytes)} of ${megabytes(totalBytes)}${rate}` : ''
    this.#show(`${stage}${bytes}`, `${stage} ${Math.floor(doneShare * 10)}`)
  }

  tool(name: string, doneShare: number): void {
    const percent = `${Math.round(doneShare * 100)} %`
    this.#show(`${name} ${percent}`, percent)
  }

  /** Ends the line, so that what follows starts at a line of its own. */
  end(): void {
    if (this.#isTerminal && this.#last !== '') process.stderr.write('\r\x1b[K')
    this.#last = ''
  }

  #show(text: string, key: string): void {
    if (this.#isTerminal) process.stderr.write(`\r\x1b[K${text}`)
    else if (key !== this.#last) process.stderr.write(`${text}\n`)
    this.#last = key
  }
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`
}

/** A result as lines `name: value`, nested by indentation; lists of objects give a line an item. */
export function plainLines(value: unknown, indent = ''): string[] {
  if (typeof value !== 'object' || value === null) return [`${indent}${formatScalar(value)}`]
  if (Array.isArray(value)) {
    return value.map((item) => `${indent}${formatInline(item)}`)
  }
  return Object.entries(value).flatMap(([key, item]) => {
    const isNested = typeof item === 'object' && item !== null
    const isShortList = Array.isArray(item) && item.every((entry) => typeof entry !== 'object')
    if (!isNested || isShortList) return [`${indent}${key}: ${formatInline(item)}`]
    return [`${indent}${key}:`, ...plainLines(item, `${indent}  `)]
  })
}

function formatInline(value: unknown): string {
  if (typeof value !== 'object' || value === null) return formatScalar(value)
  if (Array.isArray(value)) return value.map(formatInline).join(', ')
  return Object.entries(value)
    .map(([key, item]) => `${key} ${formatInline(item)}`)
    .join('  ')
}

function formatScalar(value: unknown): string {
  if (typeof value !== 'number' || Number.isInteger(value)) return String(value)
  return String(Number(value.toPrecision(5)))
}
