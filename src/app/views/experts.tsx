import type { TokenTrace } from '../../index.ts'
import { describeUse } from '../a11y/describe.ts'
import type { HeatmapContent } from '../draw/heatmap.ts'
import { hueOf } from '../draw/palette.ts'
import { formatShare } from '../format.ts'
import type { Page } from '../state/page.ts'
import type { Order } from '../state/view-state.ts'
import { GridCanvas } from './grid-canvas.tsx'
import { ExpertChip } from './inspector.tsx'

/** How the run's tokens were spread over the experts: all layers as a picture, the layer in view as a table of bars. */
export function Experts({ page }: { page: Page }) {
  const { run, view } = page
  void run.revision.value
  const { tokens } = run
  if (tokens === undefined) return <p class="quiet">No token was read yet.</p>
  const { experts, topK } = tokens.shape
  const layer = view.layer.value
  const played = run.playhead.value ?? tokens.length
  const read = tokens.countRead(played)
  const counts = [...tokens.countChoices(played).subarray(layer * experts, (layer + 1) * experts)]
  const order = counts.map((_, expert) => expert)
  if (view.order.value === 'use') order.sort((a, b) => (counts[b] ?? 0) - (counts[a] ?? 0) || a - b)
  const uniform = topK / experts
  const top = Math.max(uniform * 1.5, ...counts.map((count) => count / Math.max(1, read)))
  const sentence = describeUse(layer, counts, read, topK)
  return (
    <div class="split">
      <GridCanvas
        page={page}
        label={sentence}
        read={() => readUse(page, tokens)}
        onPick={(picked, expert) => {
          view.layer.value = picked
          view.expert.value = view.expert.peek() === expert && layer === picked ? undefined : expert
        }}
      />
      <div class="facts">
        <div class="heading">
          <h3>{`Layer ${layer}`}</h3>
          <label>
            Sort by{' '}
            <select
              value={view.order.value}
              onChange={(event) => {
                view.order.value = event.currentTarget.value as Order
              }}
            >
              <option value="index">number</option>
              <option value="use">use</option>
            </select>
          </label>
        </div>
        <div class="table-box">
          <table class="numbers use" style={{ '--uniform': (uniform / top).toFixed(4) }}>
            <caption class="sr-only">{`Use of the experts of layer ${layer}`}</caption>
            <thead>
              <tr>
                <th scope="col">Expert</th>
                <td />
                <th scope="col">Share</th>
                <th scope="col">Tokens</th>
              </tr>
            </thead>
            <tbody>
              {order.map((expert) => {
                const count = counts[expert] ?? 0
                const share = count / Math.max(1, read)
                return (
                  <tr key={expert}>
                    <th scope="row">
                      <ExpertChip page={page} expert={expert} />
                    </th>
                    <td class="bar-cell">
                      <span class={`bar h${hueOf(expert)}`} style={{ '--share': (share / top).toFixed(4) }} />
                    </td>
                    <td>{formatShare(share)}</td>
                    <td>{count}</td>
                  </tr>
                )
              })}
            </tbody>
          </table>
        </div>
        <p class="quiet sentence">{`${sentence} The dashed line is even use.`}</p>
      </div>
    </div>
  )
}

function readUse({ run, view }: Page, tokens: TokenTrace): HeatmapContent {
  const { layers, experts, topK } = tokens.shape
  const played = run.playhead.value ?? tokens.length
  const read = Math.max(1, tokens.countRead(played))
  const counts = tokens.countChoices(played)
  // Three times even use is full color.
  const full = (3 * topK * read) / experts
  const values = new Float32Array(layers * experts)
  counts.forEach((count, cell) => {
    values[cell] = Math.min(1, count / full)
  })
  return { layers, experts, values, layer: view.layer.value, expert: view.expert.value, first: undefined }
}
