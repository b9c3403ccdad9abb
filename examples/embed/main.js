// The smallest page that embeds the engine. Serve this folder with the package's `dist` as /dist and a model
// under /models; with a bundler the import is from 'switchyard'.
import { createEngine } from '/dist/switchyard.js'

const model = '/models/smollm2-mpoe-8x135m/smollm2-mpoe-8x135m-00001-of-00004.gguf'
const url = new URLSearchParams(location.search).get('model') ?? model
const status = document.querySelector('[role=status]')
const output = document.querySelector('output')

const start = async () => {
  const engine = await createEngine()
  await engine.load({ url }, { onProgress: ({ stage, doneShare }) => show(stage, doneShare) })
  return engine
}
const show = (stage, share) => {
  status.textContent = `${stage}: ${Math.round(100 * share)} %`
}
let engine

document.querySelector('form').addEventListener('submit', async (event) => {
  event.preventDefault()
  const content = new FormData(event.target).get('question')
  output.textContent = ''
  try {
    engine ??= start()
    const { chat } = await engine
    const chunks = await chat.completions.create({ messages: [{ role: 'user', content }], stream: true })
    for await (const chunk of chunks) output.append(chunk.choices[0].delta.content ?? '')
    status.textContent = 'done'
  } catch (error) {
    engine = undefined
    status.textContent = `${error.message} ${error.hint ?? ''}`
  }
})
