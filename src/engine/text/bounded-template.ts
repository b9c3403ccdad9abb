// Runs a chat template from a model file. The template is untrusted: it sees the given values and nothing
// else, no value it makes may be larger than the bound, and it must end within the time limit.

type Jinja = typeof import('@huggingface/jinja')
type Environment = InstanceType<Jinja['Environment']>
type Statement = Parameters<InstanceType<Jinja['Interpreter']>['evaluate']>[0]
type Value = ReturnType<InstanceType<Jinja['Interpreter']>['evaluate']>

/** The template itself refused, by `raise_exception`. */
export class TemplateRefusal extends Error {}

export interface TemplateBounds {
  /** Characters of the output, and of any value on the way there. */
  maxLength: number
  timeMs: number
}

/** Renders `template` with `values`. Throws `TemplateRefusal`, or whatever the library finds wrong. */
export function renderBounded(
  jinja: Jinja,
  template: string,
  values: Record<string, unknown>,
  bounds: TemplateBounds,
): string {
  const deadline = performance.now() + bounds.timeMs
  const measure = createMeasure(bounds.maxLength)
  class BoundedInterpreter extends jinja.Interpreter {
    override evaluate(statement: Statement, environment: Environment): Value {
      if (performance.now() > deadline) throw new Error(`it did not end within ${bounds.timeMs} ms`)
      const value = super.evaluate(statement, environment)
      if (measure(value) > bounds.maxLength) {
        throw new Error(`it makes a value of more than ${bounds.maxLength} characters`)
      }
      return value
    }
  }
  const environment = new jinja.Environment()
  for (const [name, value] of Object.entries({ ...makeGlobals(bounds.maxLength), ...values })) {
    environment.set(name, value)
  }
  const program = jinja.parse(jinja.tokenize(template, { lstrip_blocks: true, trim_blocks: true }))
  return String(new BoundedInterpreter(environment).run(program).value)
}

function makeGlobals(maxLength: number): Record<string, unknown> {
  return {
    true: true,
    false: false,
    none: null,
    True: true,
    False: false,
    None: null,
    raise_exception(message: unknown) {
      throw new TemplateRefusal(String(message))
    },
    range(...bounds: unknown[]) {
      const [first = 0, second, step = 1] = bounds.map(Number)
      const [start, stop] = second === undefined ? [0, first] : [first, second]
      const count = Math.ceil((stop - start) / step)
      if (!(count <= maxLength)) throw new Error(`range() has ${count} elements, more than ${maxLength}`)
      return Array.from({ length: Math.max(0, count) }, (_, index) => start + index * step)
    },
  }
}

/**
 * Characters that a value could print. Lists and maps do not change once made, so each is measured once;
 * a namespace can change, therefore it may not be inside another value, where it could build a print of
 * exponential length out of few parts.
 */
function createMeasure(maxLength: number): (value: Value | undefined) => number {
  const known = new WeakMap<Value, number>()
  function sum(values: Iterable<Value>): number {
    let total = 1
    for (const value of values) {
      total += value.type === 'NamespaceValue' ? Infinity : measure(value)
      if (total > maxLength) break
    }
    return total
  }
  function measure(value: Value | undefined): number {
    // The library gives nothing at all for the first of an empty list.
    if (value === undefined) return 1
    if (value.type === 'StringValue') return 1 + String(value.value).length
    if (value.type === 'IntegerValue') return Math.abs(Number(value.value)) <= 1e9 ? 1 : Infinity
    const inner: unknown = value.value
    if (value.type === 'NamespaceValue' && inner instanceof Map) return sum(inner.values())
    if (!Array.isArray(inner) && !(inner instanceof Map)) return 1
    let length = known.get(value)
    if (length === undefined) {
      const keys = Array.isArray(inner) ? 0 : [...inner.keys()].join('').length
      length = keys + sum(inner.values())
      known.set(value, length)
    }
    return length
  }
  return measure
}
