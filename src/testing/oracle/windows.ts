import { unreachable } from '../../errors.ts'
import type { AggregateNode } from '../../topology/node.ts'
import { calendarWindow } from './calendar.ts'
import { compareItems, type Item } from './item.ts'
import { closeSessions, type Session } from './sessions.ts'

/** [start, end) in milliseconds. */
export interface Bounds {
  readonly startMs: number
  readonly endMs: number
}

/** A window of one key with its rows. Null bounds are those of a global window. */
export interface Pane {
  readonly bounds: Bounds | null
  /** Of count windows. */
  readonly number: number | null
  readonly items: readonly Item[]
}

/** The windows with fixed bounds that a row belongs to; null for the kinds that have none. */
function fixedWindows({ window }: AggregateNode, timeMs: number): readonly Bounds[] | null {
  switch (window.kind) {
    case 'tumbling': {
      const startMs = floorTo(timeMs, window.sizeMs, window.offsetMs)
      return [{ startMs, endMs: startMs + window.sizeMs }]
    }
    case 'hopping': {
      const { sizeMs, hopMs, offsetMs } = window
      const bounds: Bounds[] = []
      for (let startMs = floorTo(timeMs, hopMs, offsetMs); startMs > timeMs - sizeMs; startMs -= hopMs)
        bounds.push({ startMs, endMs: startMs + sizeMs })
      return bounds
    }
    case 'calendar':
      return [calendarWindow(window, timeMs)]
    case 'sliding':
    case 'session':
    case 'count':
    case 'global':
      return null
    default:
      return unreachable(window)
  }
}

/** The greatest multiple of `size`, + offset, that is not above. */
function floorTo(timeMs: number, sizeMs: number, offsetMs: number): number {
  const rest = (((timeMs - offsetMs) % sizeMs) + sizeMs) % sizeMs
  return timeMs - rest
}

/** Whether a row lies between two windows that begin further apart than they are long. */
export function isBetween(node: AggregateNode, { timeMs }: Pick<Item, 'timeMs'>): boolean {
  return node.window.kind === 'hopping' && fixedWindows(node, timeMs)!.length === 0
}

/** Whether a row is late for all that it could belong to. Sessions are judged by `sessions.ts`. */
export function isLate(node: AggregateNode, { timeMs, floorMs }: Pick<Item, 'timeMs' | 'floorMs'>): boolean {
  const { window, allowedLatenessMs } = node
  const closed = (endMs: number): boolean => floorMs >= endMs + allowedLatenessMs
  switch (window.kind) {
    case 'sliding':
      // The last window that could hold it is that of a row `size` later.
      return closed(timeMs + window.sizeMs + 1)
    case 'count':
      return closed(timeMs + 1)
    case 'global':
      return false
    case 'session':
      throw new Error('whether a row is late for a session depends on the others of its key')
    case 'tumbling':
    case 'hopping':
    case 'calendar':
      return (fixedWindows(node, timeMs) ?? []).every(({ endMs }) => closed(endMs))
    default:
      return unreachable(window)
  }
}

/** The windows of one key, from all of its rows that were not late. `sessions` are those of each partition. */
export function panesOf(
  node: AggregateNode,
  items: readonly Item[],
  sessions: readonly Session[],
): readonly Pane[] {
  const { window, allowedLatenessMs } = node
  switch (window.kind) {
    case 'global':
      return [{ bounds: null, number: null, items }]
    case 'sliding':
      return slidingPanes(window.sizeMs, allowedLatenessMs, items)
    case 'count':
      return countPanes(window.rows, items)
    case 'session':
      return closeSessions(sessions, allowedLatenessMs).map((session) => ({
        bounds: { startMs: session.startMs, endMs: session.endMs },
        number: null,
        items: session.members.map(({ item }) => item),
      }))
    case 'tumbling':
    case 'hopping':
    case 'calendar':
      return fixedPanes(node, items)
    default:
      return unreachable(window)
  }
}

function fixedPanes(node: AggregateNode, items: readonly Item[]): readonly Pane[] {
  const panes = new Map<number, { readonly bounds: Bounds; readonly number: null; readonly items: Item[] }>()
  for (const item of items) {
    for (const bounds of fixedWindows(node, item.timeMs) ?? []) {
      if (item.floorMs >= bounds.endMs + node.allowedLatenessMs) continue
      const pane = panes.get(bounds.startMs) ?? { bounds, number: null, items: [] }
      panes.set(bounds.startMs, pane)
      pane.items.push(item)
    }
  }
  return [...panes.values()]
}

/** A window for each distinct event time t of rows that found t + 1 ms + allowed lateness still ahead of the watermark. */
function slidingPanes(sizeMs: number, allowedLatenessMs: number, items: readonly Item[]): readonly Pane[] {
  const isOnTime = ({ floorMs }: Item, timeMs: number): boolean => floorMs < timeMs + 1 + allowedLatenessMs
  const ends = new Set(items.filter((item) => isOnTime(item, item.timeMs)).map(({ timeMs }) => timeMs))
  return [...ends].map((timeMs) => ({
    bounds: { startMs: timeMs - sizeMs, endMs: timeMs + 1 },
    number: null,
    items: items.filter(
      (item) => item.timeMs >= timeMs - sizeMs && item.timeMs <= timeMs && isOnTime(item, timeMs),
    ),
  }))
}

function countPanes(rows: number, items: readonly Item[]): readonly Pane[] {
  const sorted = [...items].sort(compareItems)
  return Array.from({ length: Math.floor(sorted.length / rows) }, (_, number) => {
    const part = sorted.slice(number * rows, (number + 1) * rows)
    return {
      bounds: { startMs: part[0]!.timeMs, endMs: part.at(-1)!.timeMs + 1 },
      number,
      items: part,
    }
  })
}
