/** What a person asked for cannot be done as asked; the message is a sentence, the exit code 2. */
export class BadInput extends Error {
  override readonly name = 'BadInput'
}
