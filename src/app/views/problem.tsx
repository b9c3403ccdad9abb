import { useSignal } from '@preact/signals'
import type { Problem } from '../state/problem.ts'

/** A failure beside the action that failed: what happened, what to do, and the details to copy. */
export function ProblemBox(props: { problem: Problem; onClose?: () => void }) {
  const { problem, onClose } = props
  const copied = useSignal<string>('Copy details')
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(problem.report)
      copied.value = 'Copied'
    } catch {
      copied.value = 'Copying was refused'
    }
  }
  return (
    <div class="problem" role="alert">
      <p>
        <strong>{problem.message}</strong>
      </p>
      {problem.hint !== '' && <p>{problem.hint}</p>}
      <p class="row quiet">
        <code>{problem.code}</code>
        <button type="button" class="plain" onClick={() => void copy()}>
          {copied.value}
        </button>
        {onClose !== undefined && (
          <button type="button" class="plain" onClick={onClose}>
            Dismiss
          </button>
        )}
      </p>
    </div>
  )
}
