import { describe, expect, it } from 'vitest'
import { EngineError, isAbort, packError, unpackError } from './errors.ts'

describe('errors across a thread', () => {
  it('keeps code, message, hint, details and the chain of causes', () => {
    const cause = new EngineError('network', 'The server answered 503.', {
      hint: 'Wait.',
      details: { status: 503 },
    })
    const error = new EngineError('model-corrupt', 'Record 3 is damaged.', { hint: 'Import again.', cause })
    const back = unpackError(structuredClone(packError(error)))
    expect(back).toBeInstanceOf(EngineError)
    expect(back).toMatchObject({
      code: 'model-corrupt',
      message: 'Record 3 is damaged.',
      hint: 'Import again.',
    })
    expect(back.cause).toMatchObject({ code: 'network', details: { status: 503 } })
  })

  it('keeps the platform’s AbortError what it is', () => {
    const back = unpackError(packError(new DOMException('Stopped.', 'AbortError')))
    expect(isAbort(back)).toBe(true)
  })

  it('keeps name and message of other errors, and survives values that are none', () => {
    expect(unpackError(packError(new TypeError('no')))).toMatchObject({ name: 'TypeError', message: 'no' })
    expect(unpackError(packError('text')).message).toBe('text')
  })

  it('ends a circle of causes', () => {
    const error = new EngineError('internal', 'circle', { hint: 'report' })
    Object.defineProperty(error, 'cause', { value: error })
    expect(() => structuredClone(packError(error))).not.toThrow()
  })
})
