import type { LoadStage } from '../../index.ts'
import { formatBytes, formatRate, formatShare, formatTimeLeft } from '../format.ts'
import { type EngineState, type Loading, STAGE_WORDS } from '../state/engine-state.ts'

const STAGES: readonly LoadStage[] = ['download', 'store', 'upload', 'compile', 'warmup']

/** One bar for the whole load, its stages, and the bytes, rate and time left. */
export function LoadProgressView({ engine, loading }: { engine: EngineState; loading: Loading }) {
  const { progress } = loading
  const share = progress?.doneShare ?? 0
  const current = progress === undefined ? -1 : STAGES.indexOf(progress.stage)
  const words = progress === undefined ? 'Starting' : STAGE_WORDS[progress.stage]
  return (
    <div class="loading">
      <div class="card">
        <h2 id="model-title">{`Loading ${loading.name}`}</h2>
        <button type="button" class="main" onClick={() => engine.stopLoading()}>
          Stop
        </button>
      </div>
      <progress
        max={1}
        value={share}
        aria-label="Loading the model"
        aria-valuetext={`${words}, ${formatShare(share)}`}
      />
      <ol class="stages">
        {STAGES.map((stage, index) => (
          <li
            key={stage}
            aria-current={index === current ? 'step' : undefined}
            class={index < current ? 'done' : undefined}
          >
            {STAGE_WORDS[stage]}
          </li>
        ))}
      </ol>
      <p class="quiet numbers">
        {progress?.stage === 'waiting' ? STAGE_WORDS.waiting : writeNumbers(loading)}
      </p>
    </div>
  )
}

function writeNumbers({ progress, startedMs, firstShare }: Loading): string {
  if (progress === undefined) return 'Starting'
  const parts = [formatShare(progress.doneShare)]
  if (progress.totalBytes > 0)
    parts.push(`${formatBytes(progress.doneBytes)} of ${formatBytes(progress.totalBytes)}`)
  if (progress.bytesPerSecond > 0) parts.push(formatRate(progress.bytesPerSecond / 1e6, 'MB/s'))
  const seconds = (performance.now() - startedMs) / 1000
  const done = progress.doneShare - firstShare
  if (seconds >= 3 && done > 0.01)
    parts.push(`${formatTimeLeft((seconds * (1 - progress.doneShare)) / done)} left`)
  return parts.join(' · ')
}
