import { setMaxListeners } from 'node:events'

/**
 * Who is asked to stop: a whole run, or one task of it that another process is to have. A scope stops with the one around it. Stopping
 * is a request: what is open is cut, recorded and published.
 */
export class StopScope {
  readonly #stopping = new AbortController()
  readonly #waiting = new Set<() => void>()
  readonly #release: () => void

  constructor(outer: StopScope | null = null) {
    // A listener for each task: Node 20 takes more than ten for a leak, and says so to the user.
    setMaxListeners(0, this.#stopping.signal)
    const stop = (): void => this.stop()
    outer?.signal.addEventListener('abort', stop)
    this.#release = () => outer?.signal.removeEventListener('abort', stop)
    if (outer?.isStopping === true) this.stop()
  }

  get isStopping(): boolean {
    return this.#stopping.signal.aborted
  }

  /** Aborted by `stop`: who keeps trying something in vain then gives up. */
  get signal(): AbortSignal {
    return this.#stopping.signal
  }

  stop(): void {
    if (this.isStopping) return
    this.#stopping.abort()
    for (const wake of this.#waiting) wake()
    this.#waiting.clear()
  }

  /** Nobody waits here any more: the scope around it forgets this one. */
  release(): void {
    this.#release()
  }

  /** The value, or 'stopping' as soon as a stop is asked for. (A race against one long promise would keep every loser.) */
  orStop<T>(promise: Promise<T>): Promise<T | 'stopping'> {
    return new Promise((resolve, reject) => {
      const wake = (): void => resolve('stopping')
      if (this.isStopping) wake()
      else this.#waiting.add(wake)
      promise.then(
        (value) => {
          this.#waiting.delete(wake)
          resolve(value)
        },
        (error: unknown) => {
          this.#waiting.delete(wake)
          reject(error instanceof Error ? error : new Error(String(error)))
        },
      )
    })
  }
}
