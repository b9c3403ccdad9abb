import { useEffect, useRef } from 'preact/hooks'
import { formatCount, formatMs, formatRate } from '../format.ts'
import type { ShownMessage } from '../state/chat-state.ts'
import type { Page } from '../state/page.ts'
import { ORIGIN_WORDS } from '../state/run-state.ts'

const ROLE_WORDS: Record<string, string> = { user: 'You', assistant: 'Model', text: 'Text' }

/** The messages of a conversation, or of the recording before there is one. */
export function Conversation({ page }: { page: Page }) {
  const { chat, run } = page
  const scroller = useRef<HTMLDivElement>(null)
  const isAtEnd = useRef(true)
  const messages = chat.messages.value
  const revision = chat.revision.value
  useEffect(() => {
    const box = scroller.current
    if (box !== null)
      box.scrollTop = !chat.isLive.peek() ? 0 : isAtEnd.current ? box.scrollHeight : box.scrollTop
  }, [revision, messages])
  const origin = chat.isLive.value ? 'live' : run.origin.value
  return (
    <section class="conversation" aria-labelledby="conversation-title">
      <div class="heading">
        <h2 id="conversation-title">Conversation</h2>
        <span class="badge">{ORIGIN_WORDS[origin]}</span>
        {chat.isLive.value && messages.length > 0 && (
          <button type="button" class="plain" onClick={() => chat.clear()}>
            New chat
          </button>
        )}
      </div>
      <div
        ref={scroller}
        class="log"
        role="log"
        aria-label="Messages"
        aria-busy={chat.isRunning.value}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must be reachable by keyboard.
        tabIndex={0}
        onScroll={(event) => {
          const { scrollTop, scrollHeight, clientHeight } = event.currentTarget
          isAtEnd.current = scrollHeight - scrollTop - clientHeight < 40
        }}
      >
        {messages.length === 0 && <p class="quiet">Nothing was said yet.</p>}
        {messages.map((message, index) => (
          <Message key={`${index} ${message.role}`} message={message} />
        ))}
      </div>
      <UsageLine page={page} />
    </section>
  )
}

function Message({ message }: { message: ShownMessage }) {
  return (
    <div
      class="message"
      data-role={message.role}
      ref={(host) => {
        if (host !== null && message.node.parentNode !== host) {
          host.querySelector('p')?.remove()
          host.append(message.node)
        }
      }}
    >
      <h3>{ROLE_WORDS[message.role] ?? 'Text'}</h3>
    </div>
  )
}

function UsageLine({ page }: { page: Page }) {
  const { usage, rate, isRunning, finish } = page.chat
  const numbers = usage.value
  const parts: string[] = []
  if (numbers !== undefined) {
    parts.push(`prefill ${formatRate(numbers.prefill_tokens_per_second)}`)
    parts.push(`decode ${formatRate(numbers.decode_tokens_per_second)}`)
    parts.push(`first token ${formatMs(numbers.time_to_first_token_ms)}`)
    parts.push(`${numbers.prompt_tokens} + ${numbers.completion_tokens} tokens`)
    if (numbers.cached_tokens > 0) parts.push(`${numbers.cached_tokens} reused`)
  } else if (isRunning.value) {
    const live = rate.value
    parts.push(live === undefined ? 'Reading the prompt…' : formatCount(live.tokens, 'token'))
    if (live !== undefined && live.tokensPerSecond > 0) parts.push(formatRate(live.tokensPerSecond))
  }
  if (finish.value === 'abort') parts.push('stopped')
  if (finish.value === 'length') parts.push('reached its length')
  return <p class="quiet numbers usage">{parts.join(' · ')}</p>
}
