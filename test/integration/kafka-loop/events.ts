import {
  boundedOutOfOrderness,
  bronze,
  days,
  gold,
  hours,
  millis,
  notNull,
  pipeline,
  seconds,
  silver,
  stream,
  topic,
  tumbling,
} from '../../../src/index.ts'
import { avroSchema } from '../../../src/topology/schema.ts'

/** What the loop writes and counts: events with a number of their own. */
export interface Event {
  readonly n: bigint
  readonly at: number
  readonly account: string | null
}

export interface EventKinds {
  readonly n: 'long'
  readonly at: 'timestamp-millis'
  readonly account: 'string?'
}

export const EVENT_SCHEMA = {
  type: 'record',
  name: 'Event',
  fields: [
    { name: 'n', type: 'long' },
    { name: 'at', type: { type: 'long', logicalType: 'timestamp-millis' } },
    { name: 'account', type: ['null', 'string'], default: null },
  ],
} as const

export const LIVELY_MS = 30_000

const events = stream('events', avroSchema<Event, EventKinds>(EVENT_SCHEMA), {
  eventTime: 'at',
  watermark: boundedOutOfOrderness(seconds(1), { futureLimit: days(36_500) }),
})
/** Events without an account are dead letters, and every tenth event comes twice. */
const once = events.expect('named', { account: notNull() }).dedupe('once', { by: 'n', within: hours(1) })
const counts = once
  .keyBy('account')
  .window(tumbling(seconds(1)), { allowedLateness: millis(0) })
  .aggregate('counts', ({ count, sum, min, max }) => ({
    events: count(),
    total: sum('n'),
    first: min('n'),
    last: max('n'),
  }))

/** Longer windows, written again and again while they are open: the newest revision is what stays. */
const lively = once
  .keyBy('account')
  .window(tumbling(millis(LIVELY_MS)), { allowedLateness: millis(0), early: { every: millis(500) } })
  .aggregate('lively', ({ count, sum, min, max }) => ({
    events: count(),
    total: sum('n'),
    first: min('n'),
    last: max('n'),
  }))
/** A window over the results: all accounts of ten seconds. */
const tens = counts
  .keyBy()
  .window(tumbling(seconds(10)))
  .aggregate('tens', ({ sum }) => ({ events: sum('events'), total: sum('total') }))

export default pipeline({
  name: 'loop',
  tables: [
    bronze('events', events),
    silver('events', once),
    gold('counts', counts),
    gold('lively', lively),
    gold('tens', tens),
  ],
  topics: [topic('counts', counts), topic('tens', tens)],
  mergeParallelism: 2,
  circuitBreaker: false,
})

export const PARTITIONS = 8
const START_MS = Date.UTC(2026, 0, 1)
const STEP_MS = 20

/** Event n: where it goes and what it is. */
export function eventOf(n: number): Event & { readonly partition: number } {
  return {
    n: BigInt(n),
    // A little out of order, within the bound.
    at: START_MS + n * STEP_MS - ((n * 7) % 40) * 10,
    account: isUnnamed(n) ? null : `account-${(n * 13) % 17}`,
    partition: n % PARTITIONS,
  }
}

export const isCorrupt = (n: number): boolean => n % 211 === 5
export const isUnnamed = (n: number): boolean => n % 307 === 11
export const comesTwice = (n: number): boolean => n % 10 === 3

export interface CountRow {
  readonly account: string
  readonly windowStartMs: number
  readonly events: number
  readonly total: number
  readonly first: number
  readonly last: number
}

/** What the windows must say of events 0 to `count` − 1, by key and window. */
export function expectedCounts(count: number, sizeMs = 1_000): ReadonlyMap<string, CountRow> {
  const rows = new Map<string, CountRow>()
  for (let n = 0; n < count; n++) {
    if (isCorrupt(n) || isUnnamed(n)) continue
    const { at, account } = eventOf(n)
    const windowStartMs = Math.floor(at / sizeMs) * sizeMs
    const key = `${account} ${windowStartMs}`
    const row = rows.get(key)
    if (row === undefined) {
      rows.set(key, { account: account!, windowStartMs, events: 1, total: n, first: n, last: n })
    } else {
      const { events, total, first, last } = row
      rows.set(key, {
        ...row,
        events: events + 1,
        total: total + n,
        first: Math.min(first, n),
        last: Math.max(last, n),
      })
    }
  }
  return rows
}

/** The same, over all accounts, by ten seconds. */
export function expectedTens(count: number): readonly { startMs: number; events: number; total: number }[] {
  const tens = new Map<number, { startMs: number; events: number; total: number }>()
  for (const { windowStartMs, events: some, total } of expectedCounts(count).values()) {
    const startMs = Math.floor(windowStartMs / 10_000) * 10_000
    const ten = tens.get(startMs) ?? { startMs, events: 0, total: 0 }
    tens.set(startMs, { startMs, events: ten.events + some, total: ten.total + total })
  }
  return [...tens.values()].sort((a, b) => a.startMs - b.startMs)
}

/** Of what closes every window: one in each partition, a day after the rest. */
export const CLOSING_AT_MS = START_MS + 86_400_000 * 30
