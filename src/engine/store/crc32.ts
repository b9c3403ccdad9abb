// CRC-32 (the polynomial of zip and PNG), sixteen bytes a step. Pure.

const SLICES = 16

/** Table k holds the CRC of a byte followed by k zero bytes. */
const tables = makeTables()

function makeTables(): Uint32Array {
  const table = new Uint32Array(SLICES * 256)
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1
    table[byte] = crc
  }
  for (let at = 256; at < table.length; at++) {
    const before = table[at - 256] as number
    table[at] = (before >>> 8) ^ (table[before & 0xff] as number)
  }
  return table
}

/** CRC-32 of `bytes` as an unsigned number; `seed` is the CRC of what came before. */
export function crc32(bytes: Uint8Array, seed = 0): number {
  const t = tables
  let crc = ~seed
  let at = 0
  const { length } = bytes
  const bytewise = (end: number) => {
    for (; at < end; at++) crc = (crc >>> 8) ^ (t[(crc ^ (bytes[at] as number)) & 0xff] as number)
  }
  bytewise(Math.min(length, -bytes.byteOffset & 3))
  const wholeSteps = ((length - at) >>> 4) * 4
  const words = wholeSteps === 0 ? tables : new Uint32Array(bytes.buffer, bytes.byteOffset + at, wholeSteps)
  for (let word = 0; word < wholeSteps; word += 4) {
    const a = (words[word] as number) ^ crc
    const b = words[word + 1] as number
    const c = words[word + 2] as number
    const d = words[word + 3] as number
    crc =
      (t[3840 + (a & 255)] as number) ^
      (t[3584 + ((a >>> 8) & 255)] as number) ^
      (t[3328 + ((a >>> 16) & 255)] as number) ^
      (t[3072 + (a >>> 24)] as number) ^
      (t[2816 + (b & 255)] as number) ^
      (t[2560 + ((b >>> 8) & 255)] as number) ^
      (t[2304 + ((b >>> 16) & 255)] as number) ^
      (t[2048 + (b >>> 24)] as number) ^
      (t[1792 + (c & 255)] as number) ^
      (t[1536 + ((c >>> 8) & 255)] as number) ^
      (t[1280 + ((c >>> 16) & 255)] as number) ^
      (t[1024 + (c >>> 24)] as number) ^
      (t[768 + (d & 255)] as number) ^
      (t[512 + ((d >>> 8) & 255)] as number) ^
      (t[256 + ((d >>> 16) & 255)] as number) ^
      (t[d >>> 24] as number)
  }
  at += wholeSteps * 4
  bytewise(length)
  return ~crc >>> 0
}
