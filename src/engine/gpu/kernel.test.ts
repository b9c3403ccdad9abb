import { describe, expect, it } from 'vitest'
import { EngineError } from '../errors.ts'
import { specialize } from './kernel.ts'
import type { KernelSource } from './kernel-source.ts'

function source(code: string): KernelSource {
  const rest = { ownLines: 1, bindings: [], params: undefined, overrides: [], specs: [] }
  return { name: 'double', code, ...rest }
}

const CODE = `const FORMAT: u32 = 0u; // spec
const FORMATS: u32 = 7u; // spec
alias Columns = f32; // spec
fn double() { let FORMAT_TOO = FORMAT; }
`

describe('specialize', () => {
  it('replaces the value of the named lines and nothing else', () => {
    expect(specialize(source(CODE), { FORMAT: 3, Columns: 'vec4f' })).toBe(
      CODE.replace('FORMAT: u32 = 0u', 'FORMAT: u32 = 3u').replace('Columns = f32', 'Columns = vec4f'),
    )
  })

  it('keeps the text when nothing is asked for', () => {
    expect(specialize(source(CODE), { FORMAT: undefined })).toBe(CODE)
  })

  const broken = {
    'a name that is not there': CODE.replaceAll('FORMAT:', 'OTHER:'),
    'a line that is not marked': CODE.replace('0u; // spec', '0u;'),
    'a mark with something after it': CODE.replace('0u; // spec', '0u; // special'),
    'two lines of one name': `${CODE}const FORMAT: u32 = 1u; // spec\n`,
    'an indented line': CODE.replace('const FORMAT:', '  const FORMAT:'),
  }

  it.each(Object.entries(broken))('refuses %s, naming the kernel and the spec', (_, code) => {
    let thrown: unknown
    try {
      specialize(source(code), { FORMAT: 3 })
    } catch (error) {
      thrown = error
    }
    expect(thrown).toBeInstanceOf(EngineError)
    expect((thrown as EngineError).code).toBe('internal')
    expect((thrown as EngineError).message).toContain('double has no single spec line for FORMAT')
  })
})
