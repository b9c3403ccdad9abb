// What the person chose to look at. Choices live in the address, so that a view can be shared; texts never do.
import { effect, signal } from '@preact/signals'

export type Tab = 'token' | 'experts' | 'run'
export type Coloring = 'first' | 'weight'
export type Order = 'index' | 'use'
export type Theme = 'auto' | 'light' | 'dark'

export const TABS: readonly Tab[] = ['token', 'experts', 'run']

const THEME_KEY = 'switchyard.theme'

export class ViewState {
  readonly layer = signal(0)
  readonly tab = signal<Tab>('token')
  readonly coloring = signal<Coloring>('first')
  /** The expert whose tokens light up. */
  readonly expert = signal<number | undefined>(undefined)
  readonly order = signal<Order>('index')
  readonly theme = signal<Theme>('auto')
  readonly isKeyHelpOpen = signal(false)
  /** Grows when colors may have changed, so that canvases redraw. */
  readonly paint = signal(0)

  #isLayerChosen = false

  constructor() {
    this.#readAddress()
    const stored = readStored(THEME_KEY)
    if (stored === 'light' || stored === 'dark') this.theme.value = stored
    effect(() => {
      const theme = this.theme.value
      if (theme === 'auto') delete document.documentElement.dataset['theme']
      else document.documentElement.dataset['theme'] = theme
      writeStored(THEME_KEY, theme)
      this.paint.value = this.paint.peek() + 1
    })
    for (const query of ['(prefers-color-scheme: dark)', '(forced-colors: active)']) {
      matchMedia(query).addEventListener('change', () => {
        this.paint.value++
      })
    }
  }

  /** Starts to keep the address in step with the choices. */
  keepAddress(): void {
    effect(() => {
      const parts = new URLSearchParams()
      parts.set('layer', String(this.layer.value))
      if (this.tab.value !== 'token') parts.set('tab', this.tab.value)
      if (this.coloring.value !== 'first') parts.set('color', this.coloring.value)
      if (this.expert.value !== undefined) parts.set('expert', String(this.expert.value))
      if (this.order.value !== 'index') parts.set('sort', this.order.value)
      const hash = `#${parts}`
      if (hash !== location.hash)
        history.replaceState(null, '', `${location.pathname}${location.search}${hash}`)
    })
  }

  /**
   * Brings layer and expert inside the sizes of a model. A person who chose no layer starts below the middle: first
   * layers route by spelling, later ones by meaning.
   */
  fit(layers: number, experts: number): void {
    if (!this.#isLayerChosen) this.layer.value = Math.round(0.4 * layers)
    this.#isLayerChosen = true
    if (this.layer.value >= layers) this.layer.value = layers - 1
    if ((this.expert.value ?? 0) >= experts) this.expert.value = undefined
  }

  #readAddress(): void {
    const parts = new URLSearchParams(location.hash.slice(1))
    const layer = readIndex(parts.get('layer'))
    this.#isLayerChosen = layer !== undefined
    this.layer.value = layer ?? 0
    this.expert.value = readIndex(parts.get('expert'))
    this.tab.value = TABS.find((tab) => tab === parts.get('tab')) ?? 'token'
    this.coloring.value = parts.get('color') === 'weight' ? 'weight' : 'first'
    this.order.value = parts.get('sort') === 'use' ? 'use' : 'index'
  }
}

function readIndex(text: string | null): number | undefined {
  return text !== null && /^\d{1,4}$/.test(text) ? Number(text) : undefined
}

// A browser may forbid storage for the page; the choice then lasts for the visit.
function readStored(key: string): string | null {
  try {
    return localStorage.getItem(key)
  } catch {
    return null
  }
}

function writeStored(key: string, value: string): void {
  try {
    localStorage.setItem(key, value)
  } catch {
    return
  }
}
