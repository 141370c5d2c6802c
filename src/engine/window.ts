import type { WindowSpec } from '../topology/node.ts'

/**
 * The start of the window `[start, start + size)` that holds a time, aligned to 1970-01-01T00:00:00Z + offset. Floor, not
 * truncation: windows before 1970 are like all others.
 *
 *   -5    0     5    10          size 5, offset 0
 *    [-----)[-----)[-----)       -1 → -5    0 → 0    9 → 5
 */
export function windowStartOf(window: WindowSpec, timeMs: number): number {
  return Math.floor((timeMs - window.offsetMs) / window.sizeMs) * window.sizeMs + window.offsetMs
}
