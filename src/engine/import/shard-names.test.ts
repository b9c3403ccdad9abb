import { describe, expect, it } from 'vitest'
import { expandShardUrls, orderShards, stemOf } from './shard-names.ts'

const shard = (number: number, count = 3, stem = 'model') =>
  `${stem}-${String(number).padStart(5, '0')}-of-${String(count).padStart(5, '0')}.gguf`
const order = (names: string[]) => orderShards(names, (name) => name)

describe('expandShardUrls', () => {
  it('makes all addresses from any one of them and keeps the query', () => {
    const url = (number: number) => `https://host/dir/${shard(number)}?download=true#x`
    expect(expandShardUrls([url(2)])).toEqual([url(1), url(2), url(3)])
  })

  it('leaves a file without shards alone', () => {
    expect(expandShardUrls(['https://host/model.gguf'])).toEqual(['https://host/model.gguf'])
  })

  it('refuses shard counts that are absurd', () => {
    expect(() => expandShardUrls([`https://host/${shard(1, 99_999)}`])).toThrow(/shard 1 of 99999/)
    expect(() => expandShardUrls([`https://host/${shard(4)}`])).toThrow(/shard 4 of 3/)
  })
})

describe('orderShards', () => {
  it('puts shards given in any order into theirs', () => {
    expect(order([shard(3), shard(1), shard(2)])).toEqual([shard(1), shard(2), shard(3)])
  })

  it('keeps the order of files without shard names', () => {
    expect(order(['b.gguf', 'a.gguf'])).toEqual(['b.gguf', 'a.gguf'])
  })

  it.each([
    ['missing', [shard(1), shard(3)], /1 of 3 shards are missing: model-00002-of-00003.gguf/],
    ['doubled', [shard(1), shard(2), shard(2)], /model-00002-of-00003.gguf" is given twice/],
    ['of another model', [shard(1), shard(2, 3, 'other'), shard(3)], /other-00002.*does not belong/],
    ['of another count', [shard(1), shard(2, 4), shard(3)], /does not belong/],
    ['mixed with a file without a number', ['model.gguf', shard(2)], /does not belong/],
  ])('names a shard that is %s', (_, names, message) => {
    expect(() => order(names)).toThrow(
      expect.objectContaining({ code: 'model-format', message: expect.stringMatching(message) }),
    )
  })
})

it('stemOf leaves out shard number and type', () => {
  expect([shard(1), 'x.gguf', 'y.GGUF', 'z'].map(stemOf)).toEqual(['model', 'x', 'y', 'z'])
})
