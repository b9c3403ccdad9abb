// Comlink's handler for thrown values, replaced so that codes, hints and causes survive the thread.
import { transferHandlers } from 'comlink'
import { type ErrorRecord, packError, unpackError } from './errors.ts'

interface Thrown {
  value: unknown
}

/** Installs the handler; both sides of the port must call it. */
export function installErrorTransfer(): void {
  const original = transferHandlers.get('throw')
  if (original === undefined) return
  transferHandlers.set('throw', {
    canHandle: original.canHandle,
    serialize: (thrown) => [packError((thrown as Thrown).value), []],
    deserialize: (record) => {
      throw unpackError(record as ErrorRecord)
    },
  })
}
