/** A time for a message: ISO 8601 where a Date can say it, else the milliseconds. */
export function instantText(timeMs: number): string {
  return Math.abs(timeMs) <= 8.64e15 ? new Date(timeMs).toISOString() : `${timeMs} ms`
}
