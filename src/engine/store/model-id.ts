// What may name a stored model: ids become database and lock names, so they are checked everywhere.
import { EngineError } from '../errors.ts'

const MODEL_ID = /^[a-z0-9][a-z0-9._-]{0,63}$/i

export function isModelId(id: string): boolean {
  return MODEL_ID.test(id)
}

/** Passes an id through. @throws `bad-request` for what is no id. */
export function checkModelId(id: string): string {
  if (isModelId(id)) return id
  throw new EngineError('bad-request', `"${String(id).slice(0, 80)}" cannot name a model.`, {
    hint: 'An id is 1 to 64 letters, digits, dots, dashes or underscores; the first is a letter or digit.',
    details: { id: String(id).slice(0, 80) },
  })
}

/** A sound id made from any text, or `undefined` when nothing of it can be kept. */
export function modelIdFrom(text: string): string | undefined {
  const slug = text
    .normalize('NFKD')
    .toLowerCase()
    .replace(/[^a-z0-9._-]+/g, '-')
    .replace(/^[^a-z0-9]+/, '')
    .slice(0, 64)
    .replace(/[^a-z0-9]+$/, '')
  return isModelId(slug) ? slug : undefined
}
