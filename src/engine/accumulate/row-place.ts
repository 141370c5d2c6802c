import { assert } from '../../errors.ts'
import type { RowsAbout } from './accumulator.ts'

/** Where a row is in the order that breaks ties: by event time, then task, then its place in the task's order. */
export interface RowPlace {
  readonly timeMs: number
  readonly task: string
  readonly offset: number
}

/** Results of windows have no task, and no place in its order: ties of theirs go by value. */
export function offsetAt(about: RowsAbout, row: number): number {
  return about.task === '' ? 0 : about.offsets[row - about.base]!
}

export function comparePlaces(left: RowPlace, right: RowPlace): number {
  if (left.timeMs !== right.timeMs) return left.timeMs - right.timeMs
  if (left.task !== right.task) return left.task < right.task ? -1 : 1
  return left.offset - right.offset
}

/** [event time, task, offset], which comes last in the JSON of a row, at `at`. */
export function readPlace(json: readonly unknown[], at: number): RowPlace {
  const timeMs = json[at]
  const task = json[at + 1]
  const offset = json[at + 2]
  assert(
    typeof timeMs === 'number' && typeof task === 'string' && typeof offset === 'number',
    `not the place of a row: ${JSON.stringify(json)}`,
  )
  return { timeMs, task, offset }
}
