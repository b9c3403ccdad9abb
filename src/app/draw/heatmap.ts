// A layers × experts grid on a canvas: fill by value, a ring on chosen cells, a band on the layer in view.
import { hueOf, type Palette } from './palette.ts'

export interface Grid {
  layers: number
  experts: number
  cellWidth: number
  cellHeight: number
  left: number
  top: number
  width: number
  height: number
}

export interface HeatmapContent {
  layers: number
  experts: number
  /** Value 0–1 of each cell, layers × experts. */
  values: Float32Array
  layer: number
  /** The expert whose column is marked. */
  expert: number | undefined
  /** Rank of the cell among a token's choices: 0 is ringed; undefined draws no rings. */
  first: Int16Array | undefined
}

const AXIS_LEFT = 22
const AXIS_TOP = 16

/** Cells that fill the given width, no larger than reads well. */
export function layOutGrid(availableWidth: number, layers: number, experts: number): Grid {
  const cellWidth = Math.min(30, (availableWidth - AXIS_LEFT - 2) / experts)
  const cellHeight = layers <= 40 ? 13 : Math.max(5, 520 / layers)
  return {
    layers,
    experts,
    cellWidth: cellWidth >= 6 ? Math.floor(cellWidth) : cellWidth,
    cellHeight: Math.floor(cellHeight),
    left: AXIS_LEFT,
    top: AXIS_TOP,
    width: AXIS_LEFT + 2 + experts * (cellWidth >= 6 ? Math.floor(cellWidth) : cellWidth),
    height: AXIS_TOP + 2 + layers * Math.floor(cellHeight),
  }
}

/** The cell under a point of the canvas, in CSS pixels. */
export function cellAt(grid: Grid, x: number, y: number): { layer: number; expert: number } | undefined {
  const layer = Math.floor((y - grid.top) / grid.cellHeight)
  const expert = Math.floor((x - grid.left) / grid.cellWidth)
  if (layer < 0 || layer >= grid.layers || expert >= grid.experts) return undefined
  return { layer, expert: Math.max(0, expert) }
}

/** Draws the grid, resizing the canvas to the device's pixels. */
export function drawHeatmap(
  canvas: HTMLCanvasElement,
  grid: Grid,
  content: HeatmapContent,
  palette: Palette,
): void {
  const scale = devicePixelRatio
  const pixelWidth = Math.round(grid.width * scale)
  const pixelHeight = Math.round(grid.height * scale)
  if (canvas.width !== pixelWidth || canvas.height !== pixelHeight) {
    canvas.width = pixelWidth
    canvas.height = pixelHeight
    canvas.style.width = `${grid.width}px`
    canvas.style.height = `${grid.height}px`
  }
  const context = canvas.getContext('2d')
  if (context === null) return
  context.setTransform(scale, 0, 0, scale, 0, 0)
  context.clearRect(0, 0, grid.width, grid.height)
  drawAxes(context, grid, content, palette)
  drawCells(context, grid, content, palette)
  drawBand(context, grid, content, palette)
}

function drawAxes(
  context: CanvasRenderingContext2D,
  grid: Grid,
  content: HeatmapContent,
  palette: Palette,
): void {
  context.font = '10px ui-sans-serif, system-ui, sans-serif'
  context.textBaseline = 'middle'
  context.textAlign = 'right'
  const everyLayer = grid.cellHeight >= 12 ? 5 : 10
  for (let layer = 0; layer < grid.layers; layer++) {
    const isChosen = layer === content.layer
    const isNear = !isChosen && Math.abs(layer - content.layer) * grid.cellHeight < 11
    if (!isChosen && (isNear || layer % everyLayer !== 0)) continue
    context.fillStyle = isChosen ? palette.ink : palette.quiet
    context.fillText(String(layer), grid.left - 6, grid.top + (layer + 0.5) * grid.cellHeight + 0.5)
  }
  context.textAlign = 'center'
  const everyExpert = grid.cellWidth >= 14 ? 1 : grid.cellWidth >= 7 ? 4 : 16
  for (let expert = 0; expert < grid.experts; expert++) {
    const isChosen = expert === content.expert
    if (!isChosen && expert % everyExpert !== 0) continue
    context.fillStyle = isChosen ? palette.ink : palette.quiet
    context.fillText(String(expert), grid.left + (expert + 0.5) * grid.cellWidth, grid.top - 8)
  }
}

function drawCells(
  context: CanvasRenderingContext2D,
  grid: Grid,
  content: HeatmapContent,
  palette: Palette,
): void {
  const gap = grid.cellHeight >= 10 && grid.cellWidth >= 10 ? 1 : 0.5
  // With forced colors line and ink are one: an empty cell must stay fainter than the lightest weight.
  const emptyAlpha = palette.line === palette.ink ? 0.08 : 0.45
  const isColored = grid.experts <= palette.marks.length
  for (let layer = 0; layer < grid.layers; layer++) {
    for (let expert = 0; expert < grid.experts; expert++) {
      const value = content.values[layer * grid.experts + expert] ?? 0
      const x = grid.left + expert * grid.cellWidth + gap
      const y = grid.top + layer * grid.cellHeight + gap
      const width = grid.cellWidth - 2 * gap
      const height = grid.cellHeight - 2 * gap
      context.globalAlpha = 1
      context.fillStyle = palette.line
      if (value <= 0) {
        context.globalAlpha = emptyAlpha
        context.fillRect(x, y, width, height)
        continue
      }
      context.fillStyle = (isColored ? palette.marks[hueOf(expert)] : palette.ink) ?? palette.ink
      context.globalAlpha = 0.16 + 0.84 * Math.min(1, value)
      context.fillRect(x, y, width, height)
    }
  }
  context.globalAlpha = 1
  if (content.first === undefined) return
  context.strokeStyle = palette.ink
  context.lineWidth = 1
  content.first.forEach((expert, layer) => {
    if (expert < 0) return
    const x = grid.left + expert * grid.cellWidth + 0.5
    const y = grid.top + layer * grid.cellHeight + 0.5
    context.strokeRect(x, y, grid.cellWidth - 1, grid.cellHeight - 1)
  })
}

function drawBand(
  context: CanvasRenderingContext2D,
  grid: Grid,
  content: HeatmapContent,
  palette: Palette,
): void {
  context.strokeStyle = palette.ink
  context.lineWidth = 2
  const right = grid.experts * grid.cellWidth
  context.strokeRect(
    grid.left - 1,
    grid.top + content.layer * grid.cellHeight - 1,
    right + 2,
    grid.cellHeight + 2,
  )
  if (content.expert === undefined) return
  context.lineWidth = 1.5
  const x = grid.left + content.expert * grid.cellWidth
  context.strokeRect(x, grid.top, grid.cellWidth, grid.layers * grid.cellHeight)
}
