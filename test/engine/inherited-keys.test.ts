import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Column, createBatch } from '../../src/columns/column.ts'
import type { Field } from '../../src/columns/column-type.ts'
import { appendInt32, int32Column } from '../../src/columns/write.ts'
import { DedupeSet } from '../../src/engine/dedupe.ts'
import { LiveSessions, type SegmentList } from '../../src/engine/session-live.ts'
import { SessionKeys } from '../../src/engine/session-keys.ts'
import type { KeyedState } from '../../src/engine/window-step.ts'

/** What a partition takes over of what others before it remembered by key. */
const FIELDS: readonly Field[] = [{ name: 'key', type: { kind: 'int32' }, nullable: false }]
const WITHIN_MS = 50

interface Row {
  readonly key: number
  readonly timeMs: number
}

function columnsOf(key: number): readonly Column[] {
  const batch = createBatch(FIELDS)
  appendInt32(int32Column(batch.columns[0]!), key)
  return batch.columns
}

function isKept(set: DedupeSet, { key, timeMs }: Row, watermarkMs: number): boolean {
  const one = new Int32Array(1)
  return (
    set.keep(
      columnsOf(key),
      one,
      1,
      () => timeMs,
      () => watermarkMs,
      one.slice(),
    ) === 1
  )
}

/** As it lies in the store: a snapshot, or changes since one. */
function written(state: KeyedState, watermarkMs: number, kind: 'changes' | 'snapshot'): readonly unknown[] {
  const parts = kind === 'changes' ? state.takeChanges(watermarkMs) : state.takeSnapshot(watermarkMs)
  return JSON.parse(JSON.stringify([...parts])) as unknown[]
}

interface Parent {
  readonly parts: readonly unknown[]
  readonly watermarkMs: number
  /** Newest time by key: what a set that never forgets would have. */
  readonly newest: ReadonlyMap<number, number>
}

function parentOf(steps: readonly { key: number; step: number; cut: number }[]): Parent {
  const set = new DedupeSet(FIELDS, WITHIN_MS)
  const newest = new Map<number, number>()
  let parts: unknown[] = []
  let timeMs = 0
  let watermarkMs = -Infinity
  for (const { key, step, cut } of steps) {
    timeMs += step
    if (isKept(set, { key, timeMs }, watermarkMs))
      newest.set(key, Math.max(newest.get(key) ?? -Infinity, timeMs))
    watermarkMs = Math.max(watermarkMs, timeMs - 10)
    if (cut === 1) parts.push(...written(set, watermarkMs, 'changes'))
    else if (cut === 2) parts = [...written(set, watermarkMs, 'snapshot')]
  }
  return { parts: [...parts, ...written(set, watermarkMs, 'changes')], watermarkMs, newest }
}

describe('dedupe keys', () => {
  it('of all parents count that were live where they ended, whenever they were written and forgotten', () => {
    const step = fc.record({ key: fc.nat(6), step: fc.integer({ min: -40, max: 60 }), cut: fc.nat(5) })
    const steps = fc.array(step, { minLength: 1, maxLength: 60 })
    const later = fc.record({ key: fc.nat(6), timeMs: fc.integer({ min: -100, max: 2_000 }) })
    fc.assert(
      fc.property(fc.array(steps, { minLength: 1, maxLength: 2 }), later, (all, row) => {
        const parents = all.map(parentOf)
        const lowestMs = Math.min(...parents.map(({ watermarkMs }) => watermarkMs))
        const child = new DedupeSet(FIELDS, WITHIN_MS)
        let newestMs = -Infinity
        for (const { parts, watermarkMs, newest } of parents) {
          for (const part of parts) child.inherit(part, { watermarkMs, isLowest: watermarkMs === lowestMs })
          const timeMs = newest.get(row.key) ?? -Infinity
          if (watermarkMs < timeMs + WITHIN_MS) newestMs = Math.max(newestMs, timeMs)
        }
        // The first epoch of the child has them, so that the parents are not needed again.
        const again = new DedupeSet(FIELDS, WITHIN_MS)
        for (const part of written(child, lowestMs, 'snapshot')) again.restore(part)
        const isDuplicate = Math.abs(row.timeMs - newestMs) < WITHIN_MS && lowestMs < newestMs + WITHIN_MS
        expect(isKept(child, row, lowestMs)).toBe(!isDuplicate)
        expect(isKept(again, row, lowestMs)).toBe(!isDuplicate)
      }),
      { numRuns: 500 },
    )
  })
})

const NOWHERE: SegmentList = { add: () => 0, extend: () => {}, join: () => {} }

function sessionsOf(latenessMs: number): { live: LiveSessions; keys: SessionKeys } {
  const live = new LiveSessions(latenessMs, 0, NOWHERE)
  return { live, keys: new SessionKeys(FIELDS, live) }
}

/** Adds a row [start, end) that finds W, and returns whether it is on time. */
function add(
  { live, keys }: ReturnType<typeof sessionsOf>,
  key: number,
  bounds: readonly [number, number],
  watermarkMs: number,
): boolean {
  const id = keys.idOf(columnsOf(key), 0)
  const isOnTime = live.add(id, bounds[0], bounds[1], watermarkMs) >= 0
  if (isOnTime) keys.touch(id)
  return isOnTime
}

//     0    10   20   30   40
//     [---------)               of one parent
//              [------)         of the other
//  W            |               where both have ended
describe('live sessions', () => {
  it('of the parents are those of the child: a row that reaches one is as late as it would have been there', () => {
    const parent = sessionsOf(0)
    add(parent, 1, [0, 20], -Infinity)
    add(parent, 2, [0, 8], -Infinity)
    const parts = written(parent.keys, 12, 'changes')
    const child = sessionsOf(0)
    for (const part of parts) child.keys.inherit(part, { watermarkMs: 12, isLowest: true })
    // By itself it would be over.
    expect(add(child, 1, [3, 9], 12)).toBe(true)
    // Its session was over where the parent ended.
    expect(add(child, 2, [3, 9], 12)).toBe(false)
    expect(add(sessionsOf(0), 1, [3, 9], 12)).toBe(false)
  })

  it('that overlap or touch are one', () => {
    const child = sessionsOf(0)
    for (const bounds of [
      [0, 20],
      [30, 40],
      [18, 25],
      [40, 50],
    ] as const) {
      const parent = sessionsOf(0)
      add(parent, 1, bounds, -Infinity)
      for (const part of written(parent.keys, 5, 'snapshot'))
        child.keys.inherit(part, { watermarkMs: 5, isLowest: true })
    }
    expect(child.keys.size).toBe(2)
    expect(written(child.keys, 5, 'snapshot')).toEqual([
      { keys: [[1]], sessions: [[30, 50, null, 0, 25, null]] },
    ])
  })

  it('of a parent that was further ahead are begun anew', () => {
    const parent = sessionsOf(0)
    add(parent, 1, [0, 20], -Infinity)
    const child = sessionsOf(0)
    for (const part of written(parent.keys, 15, 'snapshot'))
      child.keys.inherit(part, { watermarkMs: 15, isLowest: false })
    expect(child.keys.size).toBe(0)
  })
})
