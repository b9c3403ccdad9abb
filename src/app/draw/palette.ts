// Colors for canvases, resolved from the style sheet so that theme and forced colors reach them too.

/** Groups that color can tell apart; the number is always written as well. */
export const HUES = 8

/** The hue of an expert: the same in every view and layer. */
export function hueOf(expert: number): number {
  return expert % HUES
}

export interface Palette {
  ink: string
  quiet: string
  line: string
  /** Strong mark of each hue. */
  marks: string[]
}

/** Reads the palette inside `host`, whose theme applies. */
export function readPalette(host: Element): Palette {
  const probe = document.createElement('span')
  probe.hidden = true
  host.append(probe)
  const read = (name: string): string => {
    probe.style.color = `var(${name})`
    return getComputedStyle(probe).color
  }
  const palette = {
    ink: read('--ink'),
    quiet: read('--ink-2'),
    line: read('--line'),
    marks: Array.from({ length: HUES }, (_, hue) => read(`--m${hue}`)),
  }
  probe.remove()
  return palette
}
