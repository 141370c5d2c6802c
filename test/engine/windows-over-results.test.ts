import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { ResultPlan } from '../../src/engine/plan.ts'
import type { WindowSpec } from '../../src/topology/node.ts'
import { Merge, outcome, Partition, type Row, windowPlan } from './ordered-harness.ts'

const KEYS = ['a', 'b']
const GAP_MS = 4

interface Epoch {
  readonly rows: readonly Row[]
  readonly watermarkMs: number
}

/** Merge tasks of the stage below: an epoch's results lie from the W before it to the W after it, in any order. */
const sources: fc.Arbitrary<readonly (readonly Epoch[])[]> = fc
  .array(
    fc.array(
      fc.record({
        lengthMs: fc.integer({ min: 1, max: 12 }),
        rows: fc.array(fc.record({ key: fc.constantFrom(...KEYS), at: fc.nat(11) }), { maxLength: 4 }),
      }),
      { maxLength: 6 },
    ),
    { minLength: 1, maxLength: 3 },
  )
  .map((all) => {
    let value = 100
    return all.map((epochs) => {
      let fromMs = -20
      return epochs.map(({ lengthMs, rows }) => {
        const watermarkMs = fromMs + lengthMs
        const results = rows.map(({ key, at }) => ({ key, timeMs: fromMs + (at % lengthMs), value: value++ }))
        fromMs = watermarkMs
        return { rows: results, watermarkMs }
      })
    })
  })

function play(plan: ResultPlan, all: readonly (readonly Epoch[])[], choices: readonly number[]): Merge {
  const merge = new Merge(plan)
  const lanes = all.map((epochs, p) => ({
    task: `merge-${p}`,
    partition: new Partition(plan, ''),
    epochs: [...epochs],
    watermarkMs: -Infinity,
  }))
  const step = (lane: (typeof lanes)[number]) => {
    const epoch = lane.epochs.shift()
    lane.watermarkMs = epoch?.watermarkMs ?? Infinity
    if (epoch === undefined) return
    // What a result finds as W is its own event time.
    lane.partition.add(epoch.rows.map((row) => ({ row, floorMs: row.timeMs })))
    merge.fold(lane.partition.cut()[0], lane.task)
  }
  const fire = () => {
    const watermarkMs = Math.min(...lanes.map((lane) => lane.watermarkMs))
    merge.fire({ watermarkMs, slowestMs: watermarkMs, nowMs: 0 })
  }
  for (const choice of choices) {
    if (choice % 4 === 3) {
      fire()
      merge.snapshot(choice % 8 === 3 ? 'full' : 'changes')
      if (choice % 16 === 3) merge.restart()
    } else step(lanes[choice % lanes.length]!)
  }
  for (const lane of lanes) while (lane.watermarkMs < Infinity) step(lane)
  fire()
  expect(lanes.flatMap(({ partition }) => partition.late)).toEqual([])
  return merge
}

function resultOf(
  key: string,
  rows: readonly Row[],
  startMs: number,
  endMs: number,
): Record<string, unknown> {
  return {
    key,
    window_start: new Date(startMs).toISOString(),
    window_end: new Date(endMs).toISOString(),
    rows: rows.length,
    total: rows.reduce((sum, { value }) => sum + value, 0),
    values: rows.map(({ value }) => value),
  }
}

type Naive = (key: string, rows: readonly Row[], latenessMs: number) => readonly Record<string, unknown>[]

/** In order: with an allowed lateness of zero, a session that ends at t is over for a result at t. */
const sessions: Naive = (key, rows, latenessMs) => {
  const all: Row[][] = []
  for (const row of rows) {
    const endMs = (all.at(-1)?.at(-1)?.timeMs ?? -Infinity) + GAP_MS
    if (row.timeMs < endMs || (row.timeMs === endMs && latenessMs > 0)) all.at(-1)!.push(row)
    else all.push([row])
  }
  return all.map((session) => resultOf(key, session, session[0]!.timeMs, session.at(-1)!.timeMs + GAP_MS))
}

const slidings: Naive = (key, rows) =>
  [...new Set(rows.map(({ timeMs }) => timeMs))].map((endMs) => {
    const inside = rows.filter(({ timeMs }) => timeMs >= endMs - 10 && timeMs <= endMs)
    return resultOf(key, inside, endMs - 10, endMs + 1)
  })

const counts: Naive = (key, rows) =>
  Array.from({ length: Math.floor(rows.length / 3) }, (_, number) => {
    const inside = rows.slice(number * 3, number * 3 + 3)
    const {
      rows: count,
      total,
      values,
      ...bounds
    } = resultOf(key, inside, inside[0]!.timeMs, inside[2]!.timeMs + 1)
    return { ...bounds, window_number: number, rows: count, total, values }
  })

const KINDS: readonly (readonly [string, WindowSpec, Naive])[] = [
  ['sessions', { kind: 'session', gapMs: GAP_MS, gapField: null }, sessions],
  ['sliding windows', { kind: 'sliding', sizeMs: 10 }, slidings],
  ['count windows', { kind: 'count', rows: 3 }, counts],
]

describe('windows over results', () => {
  it.each(KINDS)('%s do not depend on cuts', (_name, window, naive) => {
    fc.assert(
      fc.property(
        sources,
        fc.constantFrom(0, 3),
        fc.array(fc.nat(64), { maxLength: 30 }),
        (all, allowedLatenessMs, choices) => {
          const rows = all.flat().flatMap((epoch) => epoch.rows)
          const inOrder = [...rows].sort((a, b) => a.timeMs - b.timeMs || a.value - b.value)
          const expected = KEYS.flatMap((key) =>
            naive(
              key,
              inOrder.filter((row) => row.key === key),
              allowedLatenessMs,
            ),
          )
          const merge = play(windowPlan(window, { allowedLatenessMs, stage: 1 }), all, choices)
          expect(outcome(merge.table)).toEqual(outcome(expected))
          expect(outcome(merge.finals)).toEqual(outcome(expected))
        },
      ),
      { numRuns: 300 },
    )
  })
})
