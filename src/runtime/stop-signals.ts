export interface StopSignals {
  /** Aborted by the first signal: the run finishes what is open. */
  readonly signal: AbortSignal
  /** What the process ends with when it was asked to stop, as a shell says it: 130 or 143. Null when it was not. */
  exitCode(): 130 | 143 | null
  release(): void
}

/**
 * npm, and a parent that started a newer Node, send on a Ctrl-C that the terminal has sent to every process already: what comes so
 * soon is the same keypress.
 */
const SAME_KEYPRESS_MS = 400

/**
 * SIGINT and SIGTERM. The first asks the run to stop; the second ends the process at once, which the epoch chain
 * makes safe: what is not recorded is read again.
 */
export function stopSignals(onFirst: () => void = () => {}, onSecond: () => void = () => {}): StopSignals {
  const controller = new AbortController()
  let code: 130 | 143 | null = null
  let firstMs = 0
  const stopWith = (asked: 130 | 143) => () => {
    if (code === null) {
      code = asked
      firstMs = performance.now()
      controller.abort()
      onFirst()
    } else if (performance.now() - firstMs > SAME_KEYPRESS_MS) {
      onSecond()
      process.exit(asked)
    }
  }
  const onInterrupt = stopWith(130)
  const onTerminate = stopWith(143)
  process.on('SIGINT', onInterrupt)
  process.on('SIGTERM', onTerminate)
  return {
    signal: controller.signal,
    exitCode: () => code,
    release() {
      process.off('SIGINT', onInterrupt)
      process.off('SIGTERM', onTerminate)
    },
  }
}
