import type { EngineError, ErrorCode } from '../../index.ts'

/** A failure as the page shows it: where the action was, with a way on. */
export interface Problem {
  code: ErrorCode
  message: string
  hint: string
  /** Everything known, for a report. */
  report: string
}

/** True when a person or the page stopped the work: nothing to show. */
export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'AbortError'
}

/** Any thrown value as a problem. */
export function toProblem(error: unknown): Problem {
  if (isEngineError(error)) {
    const { code, message, hint, details } = error
    const cause = error.cause instanceof Error ? `${error.cause.name}: ${error.cause.message}` : undefined
    return { code, message, hint, report: writeReport({ code, message, hint, details, cause }) }
  }
  const message = error instanceof Error ? error.message : String(error)
  const hint = 'This is a bug in Switchyard. Please report it with the details.'
  return { code: 'internal', message, hint, report: writeReport({ code: 'internal', message, hint }) }
}

// By name, since the class arrives after the first paint, with the door.
function isEngineError(error: unknown): error is EngineError {
  return error instanceof Error && error.name === 'EngineError' && 'code' in error
}

function writeReport(facts: Record<string, unknown>): string {
  return JSON.stringify({ ...facts, userAgent: navigator.userAgent }, null, 2)
}
