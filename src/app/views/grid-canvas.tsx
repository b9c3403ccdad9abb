import { effect } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'
import { cellAt, drawHeatmap, type Grid, type HeatmapContent, layOutGrid } from '../draw/heatmap.ts'
import { type Palette, readPalette } from '../draw/palette.ts'
import type { Page } from '../state/page.ts'

/**
 * A layers × experts canvas. `read` is called inside an effect: signals it reads mark the canvas dirty, and the
 * page's loop redraws it once in the next frame.
 */
export function GridCanvas(props: {
  page: Page
  label: string
  read: () => HeatmapContent
  onPick: (layer: number, expert: number) => void
}) {
  const { page, label, onPick } = props
  const host = useRef<HTMLDivElement>(null)
  const canvas = useRef<HTMLCanvasElement>(null)
  const grid = useRef<Grid>(undefined)
  const read = useRef(props.read)
  read.current = props.read
  useEffect(() => {
    const box = host.current
    const target = canvas.current
    if (box === null || target === null) return
    let content: HeatmapContent | undefined
    let palette: Palette | undefined
    let isDirty = false
    const mark = (): void => {
      isDirty = true
      page.loop.wake()
    }
    const stopTask = page.loop.add(() => {
      if (!isDirty || content === undefined) return false
      isDirty = false
      palette ??= readPalette(box)
      const { layers, experts } = content
      grid.current = layOutGrid(box.clientWidth, layers, experts)
      drawHeatmap(target, grid.current, content, palette)
      return false
    })
    const stopPaint = effect(() => {
      void page.view.paint.value
      palette = undefined
      mark()
    })
    const stopRead = effect(() => {
      void page.run.revision.value
      content = read.current()
      mark()
    })
    const observer = new ResizeObserver(mark)
    observer.observe(box)
    return () => {
      observer.disconnect()
      stopRead()
      stopPaint()
      stopTask()
    }
  }, [page])
  return (
    <div ref={host} class="grid">
      <canvas
        ref={canvas}
        role="img"
        aria-label={label}
        onClick={(event) => {
          const cell = grid.current && cellAt(grid.current, event.offsetX, event.offsetY)
          if (cell !== undefined) onPick(cell.layer, cell.expert)
        }}
      />
    </div>
  )
}
