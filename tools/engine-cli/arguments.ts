// The command line as data: which options a command has, what their values may be, and its help text. Pure.
import { BadInput } from './bad-input.ts'

/** Commands that exist. */
export type CommandName = 'generate' | 'perplexity' | 'inspect' | 'bench'

/** How an option's text becomes a value. */
type OptionKind = 'flag' | 'text' | 'count' | 'seed' | 'size'

interface OptionRule {
  kind: OptionKind
  /** Placeholder in the help text. */
  value?: string
  help: string
  /** Only these texts exist; `later` ones are known and answer with a sentence. */
  choices?: readonly string[]
  later?: readonly string[]
}

interface CommandRule {
  summary: string
  positional?: { name: string; choices: readonly string[]; later: readonly string[] }
  options: Record<string, OptionRule>
}

/** A parsed command line. Sizes are bytes, flags are present or absent. */
export interface Invocation {
  command: CommandName
  positional: string | undefined
  text: Record<string, string>
  numbers: Record<string, number>
  flags: Set<string>
}

/** Either a run, or a text to print. */
export type ParsedLine = { kind: 'run'; invocation: Invocation } | { kind: 'help'; text: string }

const ENGINE_OPTIONS: Record<string, OptionRule> = {
  model: {
    kind: 'text',
    value: 'ID|PATH|URL',
    help: 'default model, a .gguf file (first shard of several), or an address',
  },
  context: {
    kind: 'count',
    value: 'N',
    help: 'positions of the KV cache (default: the smaller of the model’s and 2048)',
  },
  'gpu-budget': { kind: 'size', value: 'SIZE', help: 'bound on GPU memory, like 256MiB or 64MB' },
  'host-budget': { kind: 'size', value: 'SIZE', help: 'bound on weights kept in RAM' },
  experts: {
    kind: 'text',
    value: 'mpo',
    help: 'how experts are computed',
    choices: ['mpo'],
    later: ['dense'],
  },
  activations: {
    kind: 'text',
    value: 'f32',
    help: 'format of activations',
    choices: ['f32'],
    later: ['int8'],
  },
  fresh: { kind: 'flag', help: 'discard the browser profile first, stored models included' },
  json: { kind: 'flag', help: 'print one JSON document on stdout; progress goes to stderr' },
  help: { kind: 'flag', help: 'print this text' },
}

const LATER_OPTIONS = ['expert-budget', 'ladder', 'mode', 'cache-policy']
const LATER_COMMANDS = [
  'conformance',
  'replay',
  'factorize',
  'materialize',
  'upcycle',
  'prune',
  'skip',
  'split',
]

const COMMANDS: Record<CommandName, CommandRule> = {
  generate: {
    summary: 'Continue a prompt or answer a chat turn, with the routing of every token.',
    options: {
      prompt: { kind: 'text', value: 'TEXT', help: 'raw text: special tokens are parsed, nothing is added' },
      chat: { kind: 'text', value: 'TEXT', help: 'one user turn through the model’s chat template' },
      system: { kind: 'text', value: 'TEXT', help: 'system message before --chat' },
      'max-tokens': { kind: 'count', value: 'N', help: 'tokens to make at most (default 128)' },
      greedy: { kind: 'flag', help: 'always the likeliest token' },
      seed: { kind: 'seed', value: 'N', help: 'seed of the sampler' },
      ...ENGINE_OPTIONS,
    },
  },
  perplexity: {
    summary:
      'Perplexity on a text, in independent windows; the loss counts from each window’s second token on.',
    options: {
      text: { kind: 'text', value: 'FILE', help: 'UTF-8 text file (required)' },
      tokens: { kind: 'count', value: 'N', help: 'first N tokens of the text (default 1024)' },
      window: { kind: 'count', value: 'N', help: 'tokens a window (default 128)' },
      ...ENGINE_OPTIONS,
    },
  },
  inspect: { summary: 'What a model consists of, and what it needs here.', options: ENGINE_OPTIONS },
  bench: {
    summary: 'Measure the engine on this device.',
    positional: {
      name: 'KIND',
      choices: ['decode'],
      later: ['prefill', 'mpo', 'offload', 'kernels', 'storage'],
    },
    options: { full: { kind: 'flag', help: 'add the long checks' }, ...ENGINE_OPTIONS },
  },
}

/**
 * Reads a command line.
 * @throws BadInput with one sentence that says what to change.
 */
export function parseLine(line: readonly string[]): ParsedLine {
  const [name, ...rest] = line
  if (name === undefined || name === '--help' || name === 'help') return { kind: 'help', text: overview() }
  if (LATER_COMMANDS.includes(name)) throw new BadInput(`The command ${name} does not exist yet.`)
  if (!Object.hasOwn(COMMANDS, name)) {
    throw new BadInput(`There is no command ${name}; there are ${Object.keys(COMMANDS).join(', ')}.`)
  }
  const command = name as CommandName
  if (rest.includes('--help')) return { kind: 'help', text: commandHelp(command) }
  const invocation: Invocation = { command, positional: undefined, text: {}, numbers: {}, flags: new Set() }
  readOptions(invocation, rest)
  checkTogether(invocation)
  return { kind: 'run', invocation }
}

function readOptions(invocation: Invocation, words: readonly string[]): void {
  const { options } = COMMANDS[invocation.command]
  const seen = new Set<string>()
  for (let at = 0; at < words.length; at++) {
    const word = words[at] as string
    if (!word.startsWith('--')) {
      readPositional(invocation, word)
      continue
    }
    const equals = word.indexOf('=')
    const option = equals < 0 ? word.slice(2) : word.slice(2, equals)
    if (LATER_OPTIONS.includes(option)) throw new BadInput(`The option --${option} does not exist yet.`)
    const rule = Object.hasOwn(options, option) ? options[option] : undefined
    if (rule === undefined) {
      throw new BadInput(`${invocation.command} has no option --${option}; see ${invocation.command} --help.`)
    }
    if (seen.has(option)) throw new BadInput(`--${option} is given twice.`)
    seen.add(option)
    if (rule.kind === 'flag') {
      if (equals >= 0) throw new BadInput(`--${option} takes no value.`)
      invocation.flags.add(option)
      continue
    }
    const value = equals < 0 ? words[++at] : word.slice(equals + 1)
    if (value === undefined || (equals < 0 && isOption(options, value))) {
      throw new BadInput(`--${option} needs a value: --${option} ${rule.value}.`)
    }
    readValue(invocation, option, rule, value)
  }
}

// A value may begin with dashes; only a known option in its place means that the value is missing.
function isOption(options: Record<string, OptionRule>, word: string): boolean {
  return word.startsWith('--') && Object.hasOwn(options, word.slice(2))
}

function readValue(invocation: Invocation, option: string, rule: OptionRule, value: string): void {
  if (rule.kind === 'text') {
    if (rule.later?.includes(value)) throw new BadInput(`--${option} ${value} does not exist yet.`)
    if (rule.choices !== undefined && !rule.choices.includes(value)) {
      throw new BadInput(`--${option} is ${rule.choices.join(' or ')}, not "${value}".`)
    }
    invocation.text[option] = value
    return
  }
  invocation.numbers[option] =
    rule.kind === 'size' ? readSize(option, value) : readWhole(option, rule.kind, value)
}

function readWhole(option: string, kind: OptionKind, value: string): number {
  const least = kind === 'seed' ? 0 : 1
  const number = /^\d+$/.test(value) ? Number(value) : Number.NaN
  if (!Number.isSafeInteger(number) || number < least || number > 0xffff_ffff) {
    throw new BadInput(`--${option} must be a whole number from ${least} to ${0xffff_ffff}, not "${value}".`)
  }
  return number
}

const UNITS: Record<string, number> = {
  '': 1,
  B: 1,
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
}

function readSize(option: string, value: string): number {
  const match = /^(\d+(?:\.\d+)?)([A-Za-z]*)$/.exec(value)
  const unit = match?.[2] ?? '?'
  if (match === null || !Object.hasOwn(UNITS, unit)) {
    throw new BadInput(`--${option} must be a size like 256MiB, 64MB or 0, not "${value}".`)
  }
  const bytes = Math.round(Number(match[1]) * (UNITS[unit] as number))
  if (!Number.isSafeInteger(bytes)) throw new BadInput(`--${option} ${value} is too large.`)
  return bytes
}

function readPositional(invocation: Invocation, word: string): void {
  const { positional } = COMMANDS[invocation.command]
  if (positional === undefined || invocation.positional !== undefined) {
    throw new BadInput(`"${word}" is not an option of ${invocation.command}; options begin with --.`)
  }
  const { choices, later, name } = positional
  if (later.includes(word)) throw new BadInput(`${invocation.command} ${word} does not exist yet.`)
  if (!choices.includes(word)) {
    throw new BadInput(`${invocation.command} ${name} is ${choices.join(' or ')}, not "${word}".`)
  }
  invocation.positional = word
}

function checkTogether({ command, positional, text, numbers }: Invocation): void {
  if (command === 'generate') {
    if ((text['prompt'] === undefined) === (text['chat'] === undefined)) {
      throw new BadInput('generate needs either --prompt TEXT or --chat TEXT.')
    }
    if (text['system'] !== undefined && text['chat'] === undefined) {
      throw new BadInput('--system goes with --chat; a raw --prompt is fed as it is.')
    }
  }
  if (command === 'perplexity') {
    if (text['text'] === undefined) throw new BadInput('perplexity needs --text FILE.')
    const window = numbers['window'] ?? 128
    const tokens = numbers['tokens'] ?? 1024
    if (window < 2) throw new BadInput('--window must be at least 2: the loss starts at the second token.')
    if (tokens < window) throw new BadInput(`--tokens ${tokens} is less than one window of ${window}.`)
  }
  if (command === 'bench' && positional === undefined) throw new BadInput('bench needs a kind: bench decode.')
}

function overview(): string {
  const width = Math.max(...Object.keys(COMMANDS).map((name) => name.length))
  const rows = Object.entries(COMMANDS).map(([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}`)
  return [
    'Drives the real engine in a headless browser.',
    '',
    ...rows,
    '',
    'npm run -s engine -- COMMAND --help tells the options of a command.',
    'Exit codes: 0 done, 1 failed, 2 bad input.',
  ].join('\n')
}

function commandHelp(command: CommandName): string {
  const { summary, positional, options } = COMMANDS[command]
  const choices = positional === undefined ? '' : ` ${positional.choices.join('|')}`
  const titles = Object.entries(options).map(
    ([name, { value, help }]) => [`--${name}${value === undefined ? '' : ` ${value}`}`, help] as const,
  )
  const width = Math.max(...titles.map(([title]) => title.length))
  const rows = titles.map(([title, help]) => `  ${title.padEnd(width)}  ${help}`)
  return [`${command}${choices} [options]`, summary, '', ...rows].join('\n')
}
