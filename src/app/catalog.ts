import type { CatalogEntry } from '../index.ts'

/** What the page says of a model before anything of it was fetched. */
export interface ModelOffer {
  id: string
  name: string
  about: string
  license: string
  downloadBytes: number
  storedBytes: number
  urls: string[]
}

const ID = 'smollm2-mpoe-8x135m'

/** The model that the page offers; its addresses are resolved against the page. */
export const DEFAULT_OFFER: ModelOffer = {
  id: ID,
  name: 'SmolLM2-MPOE 8x135M',
  about: 'A small English chat model: 30 layers, 8 experts in each, 2 of them for every token.',
  license: 'Apache-2.0',
  downloadBytes: 110_700_000,
  storedBytes: 110_100_000,
  urls: [1, 2, 3, 4].map((shard) => `models/${ID}/${ID}-0000${shard}-of-00004.gguf`),
}

/** The offer as the engine's catalog takes it. */
export function catalogEntry(offer: ModelOffer, baseUrl: string): CatalogEntry {
  return { id: offer.id, urls: offer.urls.map((url) => new URL(url, baseUrl).href) }
}
