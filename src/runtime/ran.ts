/** Under this symbol errors say that a run threw them, and the process how many runs it has seen: also across copies of this package. */
export const RAN: unique symbol = Symbol.for('millrace.ran')

export function countRun(): void {
  const seen = globalThis as { [RAN]?: number }
  seen[RAN] = (seen[RAN] ?? 0) + 1
}

export function markRan(error: unknown): void {
  if (error instanceof Error) Object.defineProperty(error, RAN, { value: true, enumerable: false })
}
