/** Under this symbol errors say that a run threw them, and the process how many runs it has seen: also across copies of this package. */
export const RAN: unique symbol = Symbol.for('millrace.ran')

export function countRun(): void {
  const seen = globalThis as { [RAN]?: number }
  seen[RAN] = (seen[RAN] ?? 0) + 1
}

/** Under this symbol the process says that another one has taken over what it ran. */
export const LOST: unique symbol = Symbol.for('millrace.lost')

export function markLost(): void {
  ;(globalThis as { [LOST]?: boolean })[LOST] = true
}

export function markRan(error: unknown): void {
  if (error instanceof Error) Object.defineProperty(error, RAN, { value: true, enumerable: false })
}

/** Under this symbol the process says that a file is only loaded to be looked at: what it would start is not started. */
export const ONLY_LOADED: unique symbol = Symbol.for('millrace.only-loaded')

export function isOnlyLoaded(): boolean {
  return (globalThis as { [ONLY_LOADED]?: boolean })[ONLY_LOADED] === true
}
