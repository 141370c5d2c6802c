import fc from 'fast-check'
import type { ResultPlan } from '../../src/engine/plan.ts'
import { Merge, Partition, type Row } from './ordered-harness.ts'

/** A row of a partition with the watermark that it finds. */
export interface Arrival {
  readonly row: Row
  readonly floorMs: number
  readonly task: string
  readonly offset: number
}

/** By event time, then task, then offset. */
export function compareArrivals(a: Arrival, b: Arrival): number {
  return a.row.timeMs - b.row.timeMs || (a.task < b.task ? -1 : a.task > b.task ? 1 : a.offset - b.offset)
}

/** Rows of partitions, and what happens to them when: the same rows must come out whatever happens. */
export interface Script {
  readonly partitions: readonly (readonly Arrival[])[]
  readonly steps: readonly (readonly [kind: number, choice: number])[]
}

const KINDS = 8
export const IDLE = 7

/** Rows that go forward in time with some that lag behind, each partition in a time of its own. */
export function scripts(options: {
  boundsMs: readonly number[]
  partitions: number
  gaps?: boolean
  idle?: boolean
  rowsMax?: number
}): fc.Arbitrary<Script> {
  const row = fc.record({
    key: fc.constantFrom('a', 'b'),
    stepMs: fc.oneof(
      { weight: 6, arbitrary: fc.integer({ min: 0, max: 6 }) },
      { weight: 2, arbitrary: fc.integer({ min: -20, max: -1 }) },
      { weight: 1, arbitrary: fc.integer({ min: 7, max: 40 }) },
    ),
    gap: options.gaps === true ? fc.option(fc.integer({ min: -1, max: 15 })) : fc.constant(null),
  })
  const partition = fc.record({
    beginMs: fc.integer({ min: -20, max: 20 }),
    boundMs: fc.constantFrom(...options.boundsMs),
    rows: fc.array(row, { maxLength: options.rowsMax ?? 14 }),
  })
  return fc.record({
    partitions: fc.array(partition, { minLength: 1, maxLength: options.partitions }).map((all) =>
      all.map(({ beginMs, boundMs, rows }, p) => {
        let timeMs = beginMs
        let watermarkMs = -Infinity
        return rows.map(({ key, stepMs, gap }, offset) => {
          timeMs += stepMs
          const floorMs = watermarkMs
          watermarkMs = Math.max(watermarkMs, timeMs - boundMs)
          // A row that lags does not hold back those that follow.
          const at = timeMs
          if (stepMs < 0) timeMs -= stepMs
          return { row: { key, timeMs: at, value: p * 100 + offset, gap }, floorMs, task: `t-${p}`, offset }
        })
      }),
    ),
    steps: fc.array(fc.tuple(fc.nat(options.idle === true ? KINDS - 1 : KINDS - 2), fc.nat(20)), {
      maxLength: 60,
    }),
  })
}

interface Lane {
  readonly partition: Partition
  readonly arrivals: readonly Arrival[]
  next: number
  readonly epochs: { readonly partial: unknown; readonly watermarkMs: number }[]
  watermarkMs: number
  isIdle: boolean
  keyed: unknown[]
}

/** Plays a script to its end. Returns the merge, and of each partition which rows were late. */
export function play(
  plan: ResultPlan,
  script: Script,
  newest = true,
): { readonly merge: Merge; readonly late: readonly (readonly number[])[] } {
  const merge = new Merge(plan, newest)
  let nowMs = 0
  const lanes = script.partitions.map(
    (arrivals, p): Lane => ({
      partition: new Partition(plan, `t-${p}`),
      arrivals,
      next: 0,
      epochs: [],
      watermarkMs: -Infinity,
      isIdle: false,
      keyed: [],
    }),
  )
  const add = (lane: Lane, rows: number) => {
    const arrivals = lane.arrivals.slice(lane.next, lane.next + rows)
    lane.next += arrivals.length
    lane.partition.add(arrivals)
  }
  const cut = (lane: Lane, watermarkMs: number, full: boolean) => {
    const partial = lane.partition.cut()[0]
    const parts = lane.partition.keyed(full ? 'full' : 'changes', watermarkMs)
    lane.keyed = full ? [...parts] : [...lane.keyed, ...parts]
    lane.epochs.push({ partial, watermarkMs })
  }
  const fold = (lane: Lane) => {
    const epoch = lane.epochs.shift()
    if (epoch === undefined) return
    merge.fold(epoch.partial, lane.partition.task)
    lane.watermarkMs = epoch.watermarkMs
  }
  let watermarkMs = -Infinity
  const fire = () => {
    const busy = lanes.filter((lane) => !lane.isIdle)
    if (busy.length > 0) watermarkMs = Math.max(watermarkMs, lowest(busy))
    merge.fire({ watermarkMs, slowestMs: lowest(lanes), nowMs })
  }
  for (const [kind, choice] of script.steps) {
    const lane = lanes[choice % lanes.length]!
    nowMs += choice
    if (kind === 0 || kind === 1) add(lane, choice)
    if (kind === 2 || kind === 3) {
      cut(lane, watermarkAt(lane), choice % 3 === 0)
      if (choice % 5 === 0) lane.partition.restart(lane.keyed)
    }
    if (kind === 4) fold(lane)
    if (kind === IDLE) lane.isIdle = !lane.isIdle
    if (kind === 5) fire()
    if (kind === 6) {
      fire()
      merge.snapshot(choice % 3 === 0 ? 'full' : 'changes')
      if (choice % 2 === 0) merge.restart()
    }
  }
  for (const lane of lanes) {
    lane.isIdle = false
    add(lane, lane.arrivals.length)
    cut(lane, Infinity, false)
    while (lane.epochs.length > 0) fold(lane)
  }
  fire()
  return { merge, late: lanes.map((lane) => lane.partition.late) }
}

function lowest(lanes: readonly Lane[]): number {
  return Math.min(...lanes.map((lane) => lane.watermarkMs))
}

/** W after the rows that have been added: what the next one finds. */
function watermarkAt({ arrivals, next }: Lane): number {
  return arrivals[next]?.floorMs ?? arrivals.at(-1)?.floorMs ?? -Infinity
}
