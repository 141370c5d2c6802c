import type { SessionSpec } from '../../topology/node.ts'
import { valueAt } from './cell.ts'
import type { Item } from './item.ts'

/** A row as the interval [its event time, its event time + its gap). */
export interface Member {
  readonly item: Item
  readonly endMs: number
}

/** Rows that follow each other within their gaps. */
export interface Session {
  readonly startMs: number
  readonly endMs: number
  readonly members: readonly Member[]
}

export function memberOf({ gapMs, gapField }: SessionSpec, item: Item): Member {
  const own = gapField === null ? null : valueAt(item.row, gapField)
  const rowGapMs = own === null ? 0 : Number(own)
  return { item, endMs: item.timeMs + (rowGapMs > 0 ? rowGapMs : gapMs) }
}

/** The live sessions of the row's partition and key that it reaches, with it, as one. */
export function joined(
  sessions: readonly Session[],
  member: Member,
  allowedLatenessMs: number,
): { readonly made: Session; readonly others: readonly Session[] } {
  const { timeMs, floorMs } = member.item
  const isJoined = ({ startMs, endMs }: Session): boolean =>
    endMs + allowedLatenessMs > floorMs && startMs <= member.endMs && timeMs <= endMs
  const own: Session = { startMs: timeMs, endMs: member.endMs, members: [member] }
  return {
    made: sessions.filter(isJoined).reduce(union, own),
    others: sessions.filter((session) => !isJoined(session)),
  }
}

/** The sessions of all partitions, joined again and again until nothing changes. */
export function closeSessions(sessions: readonly Session[], allowedLatenessMs: number): readonly Session[] {
  const all = [...sessions]
  for (;;) {
    const pair = findPair(all, allowedLatenessMs)
    if (pair === null) return all
    const [a, b] = pair
    const made = union(a, b)
    all.splice(all.indexOf(a), 1)
    all.splice(all.indexOf(b), 1, made)
  }
}

/** The extents of sessions, those that overlap or touch as one. */
export function withoutRows(sessions: readonly Session[]): readonly Session[] {
  const extents: Session[] = []
  for (const { startMs, endMs } of sessions.toSorted((a, b) => a.startMs - b.startMs)) {
    const last = extents.at(-1)
    if (last === undefined || startMs > last.endMs) extents.push({ startMs, endMs, members: [] })
    else extents[extents.length - 1] = { ...last, endMs: Math.max(last.endMs, endMs) }
  }
  return extents
}

function findPair(sessions: readonly Session[], allowedLatenessMs: number): [Session, Session] | null {
  for (const a of sessions) {
    for (const b of sessions) {
      if (a !== b && isOne(a, b, allowedLatenessMs)) return [a, b]
    }
  }
  return null
}

/** Whether some row of one reaches some row of the other, and neither session was over when the other's row came. */
function isOne(a: Session, b: Session, allowedLatenessMs: number): boolean {
  return a.members.some(
    (left) =>
      b.endMs + allowedLatenessMs > left.item.floorMs &&
      b.members.some(
        (right) =>
          a.endMs + allowedLatenessMs > right.item.floorMs &&
          left.item.timeMs <= right.endMs &&
          right.item.timeMs <= left.endMs,
      ),
  )
}

function union(a: Session, b: Session): Session {
  return {
    startMs: Math.min(a.startMs, b.startMs),
    endMs: Math.max(a.endMs, b.endMs),
    members: [...a.members, ...b.members],
  }
}
