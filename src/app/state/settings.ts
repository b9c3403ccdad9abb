// Sampling and the system prompt, as the form holds them and as a request takes them.
import { signal } from '@preact/signals'
import type { GenerationOptions } from '../../index.ts'

export interface Settings {
  systemPrompt: string
  sampling: GenerationOptions
}

/** A number of the settings form. */
export interface NumberField {
  key: 'temperature' | 'top_p' | 'top_k' | 'min_p' | 'repetition_penalty' | 'max_tokens' | 'seed'
  label: string
  effect: string
  min: number
  max: number
  step: number
  /** Undefined: left to the engine. */
  initial: number | undefined
}

export const NUMBER_FIELDS: readonly NumberField[] = [
  {
    key: 'temperature',
    label: 'Temperature',
    effect: '0 always takes the likeliest',
    min: 0,
    max: 2,
    step: 0.05,
    initial: 0.2,
  },
  {
    key: 'top_p',
    label: 'Top p',
    effect: 'keep the likeliest up to this share',
    min: 0.01,
    max: 1,
    step: 0.01,
    initial: 0.9,
  },
  {
    key: 'top_k',
    label: 'Top k',
    effect: 'keep this many; 0 keeps all',
    min: 0,
    max: 1000,
    step: 1,
    initial: 0,
  },
  {
    key: 'min_p',
    label: 'Min p',
    effect: 'drop those below this part of the likeliest',
    min: 0,
    max: 1,
    step: 0.01,
    initial: 0,
  },
  {
    key: 'repetition_penalty',
    label: 'Repetition penalty',
    effect: '1 is off',
    min: 1,
    max: 2,
    step: 0.05,
    initial: 1.1,
  },
  {
    key: 'max_tokens',
    label: 'Max tokens',
    effect: 'length of an answer',
    min: 1,
    max: 8192,
    step: 1,
    initial: 256,
  },
  {
    key: 'seed',
    label: 'Seed',
    effect: 'empty: another each time',
    min: 0,
    max: 4294967295,
    step: 1,
    initial: undefined,
  },
]

export class SettingsState {
  readonly systemPrompt = signal('')
  /** Text of each number, as typed. */
  readonly numbers = new Map(
    NUMBER_FIELDS.map(
      ({ key, initial }) => [key, signal(initial === undefined ? '' : String(initial))] as const,
    ),
  )

  /** Settings for a request; a number outside its bounds falls back to its initial value. */
  read(): Settings {
    const sampling: GenerationOptions = {}
    for (const { key, min, max, step, initial } of NUMBER_FIELDS) {
      const text = this.numbers.get(key)?.value.trim() ?? ''
      const number = Number(text)
      const isValid = text !== '' && number >= min && number <= max && (step < 1 || Number.isInteger(number))
      const value = isValid ? number : initial
      if (value !== undefined) sampling[key] = value
    }
    return { systemPrompt: this.systemPrompt.value, sampling }
  }
}
