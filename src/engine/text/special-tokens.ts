// Finding tokens that are matched in text as they are spelled, before any byte-pair merging.

/** A piece of text: a token spelled out (`id`), or text between such tokens. */
export interface TextPiece {
  text: string
  id?: number
}

/** Tokens by spelling, ready to be searched for. */
export interface SpecialTokens {
  /** Pieces of `text` in order: leftmost match first, the longest of those that begin there. */
  split(text: string): TextPiece[]
  /**
   * `text` with `sentinel` after the first character of every spelling in it, overlapping ones included,
   * and of every beginning of one at its end, white space aside: nothing that follows can complete it.
   */
  breakUp(text: string, sentinel: string): string
}

/** A matcher for `tokens`, spelling → id. Spellings of one character are left to the merges. */
export function createSpecialTokens(tokens: ReadonlyMap<string, number>): SpecialTokens {
  const byFirst = new Map<string, string[]>()
  for (const spelling of [...tokens.keys()].sort((a, b) => b.length - a.length)) {
    const first = spelling.charAt(0)
    if (spelling.length > 1) byFirst.set(first, [...(byFirst.get(first) ?? []), spelling])
  }
  function longestAt(text: string, at: number): string | undefined {
    return byFirst.get(text.charAt(at))?.find((spelling) => text.startsWith(spelling, at))
  }
  return {
    split(text) {
      const pieces: TextPiece[] = []
      let start = 0
      for (let at = 0; at < text.length; ) {
        const found = longestAt(text, at)
        if (found === undefined) {
          at++
          continue
        }
        if (at > start) pieces.push({ text: text.slice(start, at) })
        pieces.push({ text: found, id: tokens.get(found) ?? 0 })
        at += found.length
        start = at
      }
      if (start < text.length) pieces.push({ text: text.slice(start) })
      return pieces
    },
    breakUp(text, sentinel) {
      const trimmed = text.trimEnd()
      let broken = ''
      for (let at = 0; at < trimmed.length; at++) {
        const character = trimmed.charAt(at)
        const isStart = byFirst
          .get(character)
          ?.some((spelling) => spelling.startsWith(trimmed.slice(at, at + spelling.length)))
        broken += isStart ? character + sentinel : character
      }
      return broken + text.slice(trimmed.length)
    },
  }
}
