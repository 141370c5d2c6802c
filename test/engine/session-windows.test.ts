import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { outcome, windowPlan } from './ordered-harness.ts'
import { type Arrival, compareArrivals, IDLE, play, scripts } from './ordered-script.ts'

const GAP_MS = 5

interface Session {
  startMs: number
  endMs: number
  rows: readonly Arrival[]
}

function intervalOf(arrival: Arrival): Session {
  const { timeMs, gap = null } = arrival.row
  const gapMs = gap !== null && gap > 0 ? gap : GAP_MS
  return { startMs: timeMs, endMs: timeMs + gapMs, rows: [arrival] }
}

const touch = (a: Session, b: Session) => a.startMs <= b.endMs && b.startMs <= a.endMs

function joined(sessions: readonly Session[]): Session {
  return {
    startMs: Math.min(...sessions.map(({ startMs }) => startMs)),
    endMs: Math.max(...sessions.map(({ endMs }) => endMs)),
    rows: sessions.flatMap(({ rows }) => rows),
  }
}

/**
 * Flink's WindowOperator with merging windows, for one key, row by row: windows are cleaned up when W passes end + allowed lateness; a row's window is merged
 * with those it intersects (TimeWindow.intersects: touching counts), and the row is late when what comes out is over.
 */
function flink(arrivals: readonly Arrival[], latenessMs: number): { sessions: Session[]; late: Arrival[] } {
  const late: Arrival[] = []
  const over: Session[] = []
  let live: Session[] = []
  for (const arrival of arrivals) {
    const isOver = ({ endMs }: Session) => endMs + latenessMs <= arrival.floorMs
    over.push(...live.filter(isOver))
    live = live.filter((session) => !isOver(session))
    const own = intervalOf(arrival)
    const reached = live.filter((session) => touch(session, own))
    const merged = joined([own, ...reached])
    if (isOver(merged)) late.push(arrival)
    else live = [...live.filter((session) => !reached.includes(session)), merged]
  }
  return { sessions: [...over, ...live], late }
}

/** Decision 0007: what is one in a partition is one; then the rule of floors, again and again, looking at all rows at once. */
function closure(partitions: readonly (readonly Session[])[], latenessMs: number): readonly Session[] {
  const sessions = partitions.flat()
  const areOne = (a: Session, b: Session) =>
    a.rows.some((left) =>
      b.rows.some(
        (right) =>
          touch(intervalOf(left), intervalOf(right)) &&
          a.endMs + latenessMs > right.floorMs &&
          b.endMs + latenessMs > left.floorMs,
      ),
    )
  for (let changed = true; changed; ) {
    changed = false
    for (const a of sessions) {
      const b = sessions.find((other) => other !== a && areOne(a, other))
      if (b === undefined) continue
      sessions.splice(sessions.indexOf(a), 1)
      sessions.splice(sessions.indexOf(b), 1, joined([a, b]))
      changed = true
      break
    }
  }
  return sessions
}

function rowOf(key: string, { startMs, endMs, rows }: Session): Record<string, unknown> {
  const inOrder = [...rows].sort(compareArrivals)
  return {
    key,
    window_start: new Date(startMs).toISOString(),
    window_end: new Date(endMs).toISOString(),
    rows: rows.length,
    total: rows.reduce((sum, { row }) => sum + row.value, 0),
    values: inOrder.map(({ row }) => row.value),
  }
}

const plans = fc.record({
  allowedLatenessMs: fc.constantFrom(0, 1, 3, 12),
  trigger: fc.constantFrom(
    {},
    { refine: true },
    { earlyEveryRows: 1 },
    { earlyEveryRows: 2, refine: true },
    { earlyEveryMs: 10 },
  ),
})

describe('sessions', () => {
  it('are those of a naive look at all rows, whatever the order of partials, the cuts and the restarts', () => {
    fc.assert(
      fc.property(
        scripts({ boundsMs: [0, 2, 8, 30], partitions: 3, gaps: true, idle: true }),
        plans,
        fc.boolean(),
        (script, options, newest) => {
          const expected: Record<string, unknown>[] = []
          const late = script.partitions.map(() => [] as number[])
          for (const key of ['a', 'b']) {
            const partitions = script.partitions.map((arrivals, p) => {
              const own = flink(
                arrivals.filter(({ row }) => row.key === key),
                options.allowedLatenessMs,
              )
              late[p]!.push(...own.late.map(({ offset }) => offset))
              return own.sessions
            })
            // Of one partition Flink's sessions, and nothing joined to them.
            const sessions =
              partitions.length === 1 ? partitions[0]! : closure(partitions, options.allowedLatenessMs)
            expected.push(...sessions.map((session) => rowOf(key, session)))
          }
          const plan = windowPlan({ kind: 'session', gapMs: GAP_MS, gapField: 'gap' }, options)
          const { merge, late: found } = play(plan, script, newest)
          expect(outcome(merge.topic.values())).toEqual(outcome(expected))
          if (newest) expect(outcome(merge.table)).toEqual(outcome(expected))
          // After idleness sessions go on that were final: the next stage has them as they were.
          if (script.steps.every(([kind]) => kind !== IDLE))
            expect(outcome(merge.finals)).toEqual(outcome(expected))
          expect(found).toEqual(late.map((offsets) => offsets.sort((a, b) => a - b)))
          expect(merge.window.openPanes).toBe(0)
        },
      ),
      { numRuns: 400 },
    )
  })
})
