import { Aggregate } from '../../consumers/kinesis/aggregate.ts'
import { type PositionPlace, startOfPlace } from '../../consumers/kinesis/position.ts'
import { PipelineError } from '../errors.ts'
import type { KinesisApi, ShardPlace, ShardStart, WireRecord } from '../kinesis/api.ts'
import type { Clock } from '../ports.ts'

/** What a shard has behind a place. */
export interface ShardTail {
  /** Those of aggregates each by themselves. */
  readonly records: number
  /** False where there are more than were counted. */
  readonly isExact: boolean
  /** From the first of them to the tip of the shard: 0 where there is none. */
  readonly behindMs: number
  /** The tip, or the newest record that is known. Null where there is none. */
  readonly newestMs: number | null
}

export interface TailLimits {
  /** So many records are counted, and no more than one answer beyond. */
  readonly recordsMax: number
  readonly clock: Clock
}

/** Of one request: a shard gives 2 MB a second, which those who read the stream need. */
const PAGE_RECORDS = 1_000
/** A shard takes five requests a second. */
const PAUSE_MS = 300
/** Answers without a record, one after the other, until a place counts as far behind. */
const EMPTY_MAX = 10
const TRIES = 5
const THROTTLED_PAUSE_MS = 1_000

/** Reads what lies behind a place, as far as the limit. @throws PipelineError what Kinesis throws */
export async function readTail(
  api: ShardReads,
  shard: ShardPlace,
  place: PositionPlace,
  limits: TailLimits,
): Promise<ShardTail> {
  const start = startOfPlace(place)
  if (start === null) return { records: 0, isExact: true, behindMs: 0, newestMs: null }
  const counter = new RecordCounter(place.kind === 'at' ? (place.index ?? 0) : 0)
  const toTipMs = await readOn(api, shard, start, limits, (records) => counter.add(records))
  const { records, firstMs, lastMs } = counter
  return {
    records,
    isExact: toTipMs === 0,
    behindMs: (firstMs === null ? 0 : Math.max(0, lastMs! - firstMs)) + toTipMs,
    newestMs: lastMs === null ? null : lastMs + toTipMs,
  }
}

type ShardReads = Pick<KinesisApi, 'shardIterator' | 'getRecords'>

/**
 * Gives the records from a place on to `take`, which says how many it has in all. Ends at the tip, or at the limit; resolves with how far before the tip that is, in
 * milliseconds.
 */
export async function readOn(
  api: ShardReads,
  shard: ShardPlace,
  start: ShardStart,
  { recordsMax, clock }: TailLimits,
  take: (records: readonly WireRecord[]) => number,
): Promise<number> {
  let iterator = await patiently(clock, () => api.shardIterator(shard, start))
  for (let empty = 0, isFirst = true; ; isFirst = false) {
    if (!isFirst) await clock.sleep(PAUSE_MS)
    const at = iterator
    const answer = await patiently(clock, () => api.getRecords(at, Math.min(PAGE_RECORDS, recordsMax), shard))
    const count = take(answer.records)
    const millisBehindLatest = answer.millisBehindLatest ?? 0
    if (answer.children !== null || answer.nextIterator === null || millisBehindLatest === 0) return 0
    empty = answer.records.length === 0 ? empty + 1 : 0
    if (count >= recordsMax || empty === EMPTY_MAX) return millisBehindLatest
    iterator = answer.nextIterator
  }
}

class RecordCounter {
  records = 0
  firstMs: number | null = null
  lastMs: number | null = null
  readonly #aggregate = new Aggregate()
  /** Of the first aggregate, so many are before the place. */
  #skipped: number

  constructor(skipped: number) {
    this.#skipped = skipped
  }

  add(records: readonly WireRecord[]): number {
    for (const { data, arrivalMs } of records) {
      const count = this.#aggregate.parse(data, null) ? this.#aggregate.count : 1
      this.records += Math.max(0, count - this.#skipped)
      this.#skipped = 0
      this.firstMs ??= arrivalMs
      this.lastMs = arrivalMs
    }
    return this.records
  }
}

/** A few times: whoever reads the stream uses the same limits. */
async function patiently<T>(clock: Clock, call: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await call()
    } catch (error) {
      const isThrottled = error instanceof PipelineError && error.code === 'KINESIS_THROTTLED'
      if (!isThrottled || tries === TRIES) throw error
      await clock.sleep(THROTTLED_PAUSE_MS * tries)
    }
  }
}
