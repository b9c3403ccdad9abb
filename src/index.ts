// The public door of the engine. Nothing else is exported.
export { createEngine } from './engine/client.ts'
export { EngineError, ERROR_CODES, type ErrorCode } from './engine/errors.ts'
export type * from './engine/protocol.ts'
export { type Choice, TokenTrace, type TraceShape } from './engine/trace/token-trace.ts'
export {
  formatTrace,
  parseTrace,
  type Trace,
  type TraceInfo,
  traceFromEvents,
} from './engine/trace/trace-file.ts'
