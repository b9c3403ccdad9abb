// What comes in at the public door, checked before it reaches the worker: unknown names and wrong shapes are
// `bad-request`, never a silent default.
import { EngineError } from './errors.ts'
import type { CatalogEntry, ModelSource } from './protocol.ts'

const KEYS = {
  createEngine: ['gpuBudgetBytes', 'hostBudgetBytes', 'contextTokens', 'catalog', 'worker', 'minimalDevice'],
  setBudgets: ['gpuBudgetBytes', 'hostBudgetBytes'],
  load: ['onProgress', 'signal', 'contextTokens'],
} as const

const SOURCE_HINT = 'Give the id of a stored model, { url }, or { files }.'

/** Refuses options of `call` that do not exist, and numbers that are none. @throws EngineError `bad-request` */
export function checkOptions(call: keyof typeof KEYS, options: object): void {
  for (const [name, value] of Object.entries(options)) {
    if (!(KEYS[call] as readonly string[]).includes(name)) {
      throw badRequest(`${call} has no option ${name}.`, `Known: ${KEYS[call].join(', ')}.`, name)
    }
    const isNumber = name.endsWith('Bytes') || name.endsWith('Tokens')
    if (isNumber && value !== undefined && !(typeof value === 'number' && value >= 0)) {
      throw badRequest(`${name} is ${String(value)}.`, 'Give a number, 0 or more.', name)
    }
  }
}

/** The catalog with absolute addresses. @throws EngineError `bad-request` */
export function absoluteCatalog(catalog: readonly CatalogEntry[] = []): CatalogEntry[] {
  return catalog.map(({ id, urls }) => {
    if (typeof id !== 'string' || !Array.isArray(urls)) {
      throw badRequest(
        'A catalog entry is no { id, urls }.',
        'Give each model an id and a list of addresses.',
        'catalog',
      )
    }
    return { id, urls: urls.map(absolute) }
  })
}

/** The source as structured-clone safe data, its addresses made absolute. @throws EngineError `bad-request` */
export function plainSource(source: ModelSource): ModelSource {
  if (typeof source === 'string') return source
  if (typeof source !== 'object' || source === null)
    throw badRequest('No model is named.', SOURCE_HINT, 'source')
  const id = source.id === undefined ? {} : { id: source.id }
  if ('files' in source) {
    const files = [...source.files]
    if (!files.every((file) => file instanceof Blob))
      throw badRequest('files holds no files.', SOURCE_HINT, 'files')
    return { files, ...id }
  }
  const urls: unknown = source.url
  const list = typeof urls === 'string' ? [urls] : urls
  if (!Array.isArray(list) || list.length === 0) throw badRequest('No address is given.', SOURCE_HINT, 'url')
  return { url: list.map(absolute), ...id }
}

/** Addresses are relative to the page, not to the worker's file. */
function absolute(address: unknown): string {
  const base = globalThis.document?.baseURI ?? globalThis.location?.href
  if (typeof address !== 'string' || !URL.canParse(address, base)) {
    throw badRequest(
      `${String(address)} is no address.`,
      'Give an http or https address, or one relative to the page.',
      'url',
    )
  }
  return new URL(address, base).href
}

function badRequest(message: string, hint: string, option: string): EngineError {
  return new EngineError('bad-request', message, { hint, details: { option } })
}
