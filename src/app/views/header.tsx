import type { Page } from '../state/page.ts'
import type { Theme } from '../state/view-state.ts'

/** Title, the one sentence, the device and the page's own switches. */
export function Header({ page }: { page: Page }) {
  const { view } = page
  return (
    <header class="top">
      <div>
        <h1>Switchyard</h1>
        <p class="quiet">
          A Mixture-of-Experts model runs in this tab, and you see which experts read every token.
        </p>
      </div>
      <div class="row top-tools">
        <DeviceLine page={page} />
        <label class="row">
          <span class="sr-only">Theme</span>
          <select
            value={view.theme.value}
            onChange={(event) => {
              view.theme.value = event.currentTarget.value as Theme
            }}
          >
            <option value="auto">Auto</option>
            <option value="light">Light</option>
            <option value="dark">Dark</option>
          </select>
        </label>
        <button
          type="button"
          class="plain"
          onClick={() => {
            view.isKeyHelpOpen.value = true
          }}
        >
          Keys
        </button>
      </div>
    </header>
  )
}

function DeviceLine({ page }: { page: Page }) {
  const device = page.engine.device.value
  if (page.engine.missing.value !== undefined) return <p class="device">No engine on this device</p>
  if (device === undefined) return <p class="device quiet">Checking this device…</p>
  const name = [device.vendor, device.architecture].filter((part) => part !== '').join(' ') || 'unnamed'
  return (
    <p class="device" data-ready title={device.description}>
      {device.isFallback ? `Software adapter (${name}): works, slowly` : `WebGPU ready: ${name}`}
    </p>
  )
}
