import { useSignal } from '@preact/signals'
import type { TokenTrace } from '../../index.ts'
import { describeToken, isEndToken, nameToken } from '../a11y/describe.ts'
import type { HeatmapContent } from '../draw/heatmap.ts'
import { hueOf } from '../draw/palette.ts'
import { formatMs, formatShare } from '../format.ts'
import type { Page } from '../state/page.ts'
import { GridCanvas } from './grid-canvas.tsx'

const SOURCE_WORDS = { gpu: 'GPU', ram: 'memory', disk: 'disk' } as const

/** The token in view: its path through the layers, and the layer in view in numbers. */
export function Inspector({ page }: { page: Page }) {
  const { run, view } = page
  const isTableOpen = useSignal(false)
  void run.revision.value
  const token = run.selected.value
  const layer = view.layer.value
  const { tokens } = run
  if (tokens === undefined || token < 0 || token >= tokens.length) return <p class="quiet">Choose a token.</p>
  const facts = tokens.facts(token)
  const sentence = describeToken(tokens, token, layer)
  return (
    <div class="split">
      <GridCanvas
        page={page}
        label={sentence}
        read={() => readPath(page, tokens)}
        onPick={(picked) => {
          view.layer.value = picked
        }}
      />
      <div class="facts">
        <h3 class="token-name">
          <bdi>{nameToken(facts.text, isEndToken(tokens, token))}</bdi>
          <small class="quiet">
            {`token ${tokens.firstIndex + token}, ${facts.phase === 'prefill' ? 'read in the prompt' : 'made by the model'}`}
          </small>
        </h3>
        <LayerTable page={page} tokens={tokens} token={token} layer={layer} />
        <p class="quiet sentence">{sentence}</p>
        <button
          type="button"
          class="plain"
          aria-expanded={isTableOpen.value}
          onClick={() => {
            isTableOpen.value = !isTableOpen.value
          }}
        >
          {isTableOpen.value ? 'Hide the table of all layers' : 'Show all layers as a table'}
        </button>
      </div>
      {isTableOpen.value && <PathTable tokens={tokens} token={token} />}
    </div>
  )
}

function readPath({ run, view }: Page, tokens: TokenTrace): HeatmapContent {
  const { layers, experts, topK } = tokens.shape
  const values = new Float32Array(layers * experts)
  const first = new Int16Array(layers).fill(-1)
  const token = run.selected.value
  for (let layer = 0; token >= 0 && layer < layers; layer++) {
    first[layer] = tokens.expertAt(token, layer, 0) ?? -1
    for (let rank = 0; rank < topK; rank++) {
      const expert = tokens.expertAt(token, layer, rank)
      if (expert !== undefined) values[layer * experts + expert] = tokens.weightOf(token, layer, expert)
    }
  }
  return { layers, experts, values, layer: view.layer.value, expert: undefined, first }
}

function LayerTable(props: { page: Page; tokens: TokenTrace; token: number; layer: number }) {
  const { page, tokens, token, layer } = props
  const choices = tokens.choices(token, layer)
  const { stallMs } = tokens.facts(token)
  return (
    <table class="numbers">
      <caption>{`Layer ${layer}`}</caption>
      <thead>
        <tr>
          <th scope="col">Expert</th>
          <th scope="col">Weight</th>
          <th scope="col">Precision</th>
          <th scope="col">Source</th>
          <th scope="col">Wait</th>
        </tr>
      </thead>
      <tbody>
        {choices.length === 0 && (
          <tr>
            <td colSpan={5}>not read yet</td>
          </tr>
        )}
        {choices.map(({ expert, weight, precision, source }) => (
          <tr key={expert}>
            <th scope="row">
              <ExpertChip page={page} expert={expert} />
            </th>
            <td>
              <span class={`bar h${hueOf(expert)}`} style={{ '--share': weight.toFixed(3) }} />
              {formatShare(weight)}
            </td>
            <td>{precision}</td>
            <td>{SOURCE_WORDS[source]}</td>
            <td>{source === 'gpu' ? 'none' : formatMs(stallMs)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}

/** An expert's number on its tint; a press lights up its tokens. */
export function ExpertChip({ page, expert }: { page: Page; expert: number }) {
  const { view } = page
  const isPicked = view.expert.value === expert
  return (
    <button
      type="button"
      class={`chip h${hueOf(expert)}`}
      aria-pressed={isPicked}
      aria-label={`Expert ${expert}: light up its tokens`}
      onClick={() => {
        view.expert.value = isPicked ? undefined : expert
        if (isPicked) view.coloring.value = 'first'
      }}
    >
      {expert}
    </button>
  )
}

function PathTable({ tokens, token }: { tokens: TokenTrace; token: number }) {
  const { layers, topK } = tokens.shape
  return (
    <div class="table-box">
      <table class="numbers">
        <caption>{`All layers of ${nameToken(tokens.facts(token).text)}`}</caption>
        <thead>
          <tr>
            <th scope="col">Layer</th>
            {Array.from({ length: topK }, (_, rank) => (
              <th scope="col" key={rank}>{`Choice ${rank + 1}`}</th>
            ))}
          </tr>
        </thead>
        <tbody>
          {Array.from({ length: layers }, (_, layer) => (
            <tr key={layer}>
              <th scope="row">{layer}</th>
              {tokens.choices(token, layer).map(({ expert, weight }) => (
                <td key={expert}>{`expert ${expert}, ${formatShare(weight)}`}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
