/** The page's one animation-frame loop: tasks run once a frame while any of them asks for another. */
export class FrameLoop {
  #tasks = new Set<(nowMs: number) => boolean>()
  #isScheduled = false

  /** Adds a task that returns whether it wants another frame; the result removes it. */
  add(task: (nowMs: number) => boolean): () => void {
    this.#tasks.add(task)
    return () => this.#tasks.delete(task)
  }

  /** Asks for a frame. */
  wake(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    requestAnimationFrame((nowMs) => {
      this.#isScheduled = false
      let isWanted = false
      for (const task of this.#tasks) isWanted = task(nowMs) || isWanted
      if (isWanted) this.wake()
    })
  }
}
