// What an unfinished import has already stored, so that the next try goes on from there.
import * as v from 'valibot'
import type { RecordGroup } from '../store/manifest.ts'
import type { RecordDatabase } from '../store/record-database.ts'
import type { OpenedModel } from './open-model.ts'

const JOURNAL_KEY = 'import/journal'

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
const journalRecord = v.object({
  version: v.literal(1),
  fingerprint: v.string(),
  sources: v.array(v.object({ name: v.string(), sizeBytes: count, validator: v.string() })),
  groups: v.array(
    v.object({
      name: v.string(),
      bytes: count,
      parts: v.array(v.object({ key: v.string(), bytes: count, crc32: count })),
    }),
  ),
})

type JournalRecord = v.InferOutput<typeof journalRecord>

/** The finished groups of one import; written together with the last record of each. */
export class ImportJournal {
  readonly #records: RecordDatabase
  readonly #identity: Omit<JournalRecord, 'groups'>
  readonly #groups = new Map<string, RecordGroup>()

  private constructor(records: RecordDatabase, identity: Omit<JournalRecord, 'groups'>) {
    this.#records = records
    this.#identity = identity
  }

  /** Continues an earlier import of the very same source, or starts over with an empty database. */
  static async open(records: RecordDatabase, model: OpenedModel): Promise<ImportJournal> {
    const sources = model.file.sources.map(({ name, sizeBytes, validator }) => ({
      name,
      sizeBytes,
      validator,
    }))
    const identity = { version: 1, fingerprint: model.file.fingerprint, sources } as const
    const journal = new ImportJournal(records, identity)
    const [value] = await records.getMany([JOURNAL_KEY])
    const earlier = v.safeParse(journalRecord, value)
    const isSame = earlier.success && JSON.stringify({ ...earlier.output, groups: [] }) === journal.#text()
    if (isSame) await journal.#restore(earlier.output.groups, model)
    else await records.clear()
    return journal
  }

  /** A group that needs no reading any more. */
  finished(group: string): RecordGroup | undefined {
    return this.#groups.get(group)
  }

  /** Bytes of all finished groups. */
  get storedBytes(): number {
    return [...this.#groups.values()].reduce((sum, group) => sum + group.bytes, 0)
  }

  /** Stores the last record of `group` and, in the same transaction, that the group is complete. */
  async finish(group: RecordGroup, last: readonly [string, Blob]): Promise<void> {
    const groups = [...this.#groups.values(), group]
    await this.#records.setMany([last, [JOURNAL_KEY, { ...this.#identity, groups }]])
    this.#groups.set(group.name, group)
  }

  /** Forgets the journal once the model is complete. */
  async close(): Promise<void> {
    await this.#records.deleteMany([JOURNAL_KEY])
  }

  #text(): string {
    return JSON.stringify({ ...this.#identity, groups: [] })
  }

  async #restore(groups: readonly RecordGroup[], model: OpenedModel): Promise<void> {
    for (const group of groups) {
      const planned = model.groups.find(({ name }) => name === group.name)
      const blobs = await this.#records.getMany(group.parts.map(({ key }) => key))
      const isThere = group.parts.every((part, at) => (blobs[at] as Blob | undefined)?.size === part.bytes)
      if (planned?.bytes === group.bytes && isThere) this.#groups.set(group.name, group)
    }
  }
}
