// The byte-level alphabet of GPT-2's tokenizer: every byte as one printable character.

/** Byte b is the character `ALPHABET[b]`: itself where printable in Latin-1, else from U+0100 on, in order. */
const ALPHABET = makeAlphabet()
const BYTES = new Map(ALPHABET.map((character, byte) => [character, byte]))

function makeAlphabet(): string[] {
  let next = 0x100
  return Array.from({ length: 256 }, (_, byte) => {
    const isPrintable = (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad)
    return String.fromCharCode(isPrintable ? byte : next++)
  })
}

/** The bytes that a token's spelling stands for; characters outside the alphabet are their UTF-8. */
export function spellingToBytes(spelling: string): Uint8Array {
  const bytes: number[] = []
  for (const character of spelling) {
    const byte = BYTES.get(character)
    if (byte === undefined) bytes.push(...new TextEncoder().encode(character))
    else bytes.push(byte)
  }
  return Uint8Array.from(bytes)
}

/** Text for display: valid UTF-8 as it is, every other byte as `<0xF0>`. */
export function describeBytes(bytes: Uint8Array): string {
  let text = ''
  for (let at = 0; at < bytes.length; ) {
    const size = characterSize(bytes, at)
    if (size === 0) {
      text += `<0x${(bytes[at] ?? 0).toString(16).toUpperCase().padStart(2, '0')}>`
    } else {
      text += new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes.subarray(at, at + size))
    }
    at += Math.max(1, size)
  }
  return text
}

/** Bytes of the UTF-8 character at `at`; 0 when there is no whole one. */
function characterSize(bytes: Uint8Array, at: number): number {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  for (let size = 1; size <= Math.min(4, bytes.length - at); size++) {
    try {
      decoder.decode(bytes.subarray(at, at + size))
      return size
    } catch {
      // Not whole yet, or never: longer pieces decide.
    }
  }
  return 0
}
