import { PipelineError } from '../../src/errors.ts'
import type { ShardAnswer, ShardFacts, ShardPlace, ShardStart } from '../../src/kinesis/api.ts'
import type { KinesisCounts } from '../../src/kinesis/counts.ts'
import type { Clock, Log, PartitionReader, ReadResult, SourcePartition } from '../../src/ports.ts'
import type { FeedBudget } from './feed-budget.ts'
import { hashRange } from './hash-range.ts'
import { encodeKinesisPosition, isBeginning, type KinesisPosition, startOfPlace } from './position.ts'
import type { ShardFetch, ShardTarget } from './shard-fetch.ts'
import { ShardRows } from './shard-rows.ts'
import { taskOfShard } from './shard-task.ts'
import { instant, LOSS_ACCEPTED, positionExpired, shardGone } from './source-error.ts'

export interface ShardFeedOptions {
  readonly partition: SourcePartition
  readonly place: ShardPlace
  /** Null where Kinesis does not list it any more: then it is at its end. */
  readonly shard: ShardFacts | null
  readonly position: KinesisPosition
  /** See PartitionReader. */
  readonly start?: string | undefined
  readonly clock: Clock
  readonly log: Log
  readonly counts: KinesisCounts
  /** Of the stream, as it is now. */
  readonly retentionMs: () => number
  /** Go on where records may have been deleted before they were read. */
  readonly acceptLoss: boolean
  readonly budget: FeedBudget
  readonly fetch: ShardFetch
  /** The shards that have this one among their parents. */
  readonly children: (shardId: string) => Promise<readonly string[]>
  /** Whether the stream has forgotten the shard. */
  readonly isGone: (signal: AbortSignal) => Promise<boolean>
  /** What is behind an error that ends the reading: another stream of this name. */
  readonly explain: (error: PipelineError) => Promise<PipelineError>
  /** A reader is never kept longer than this: it may have an epoch to cut. */
  readonly readWaitMs: number
}

/** A quiet shard says so in the chain each so many parts of the retention: a pipeline that stands still for less loses nothing. */
const QUIET_PARTS = 8
/** Of the retention: who has been so far within it is not one who has begun at its edge. */
export const MARGIN_PARTS = 16
const CHILDREN_PAUSE_MS = 1_000
/** A list that does not have them yet has them soon; one that never will belongs to a stream of which they are gone too. */
const CHILDREN_LOOKS = 10
const AHEAD_PAUSE_MS = 2_000
/** More than that, clocks do not differ: signatures would be refused. */
const AHEAD_MS_MAX = 10 * 60_000

/** One shard: what has been fetched of it and not been read yet. */
export class ShardFeed implements PartitionReader {
  readonly start: string | undefined
  readonly #options: ShardFeedOptions
  readonly #rows: ShardRows
  readonly #closed = new AbortController()
  /** Where to fetch: behind what was accepted. Null at the end of the shard. */
  #fetchFrom: ShardStart | null
  /** All that arrived before this moment was accepted. */
  #fetchedAsOfMs: number
  /** Records were accepted: before the first ones nothing is known to be missing, however old they are. */
  #hasBegun: boolean
  /** Of the last position that the reader got. */
  #givenAsOfMs: number
  /** An answer has reached the tip of the shard: when. */
  #tipMs: number | null = null
  /** The shard has ended; [] while it is not known what follows. */
  #children: readonly string[] | null = null
  #failure: PipelineError | null = null
  /** Kinesis says that the start lies in the future: its clock is behind. */
  #isAhead = false
  #wasSafe = false
  #hasWarnedOfLoss = false
  #hasWarnedOfForeign = false
  #wake: (() => void) | null = null

  constructor(options: ShardFeedOptions) {
    const { position, shard } = options
    this.#options = options
    this.start = options.start
    this.#fetchFrom = shard === null ? null : startOfPlace(position.place)
    this.#fetchedAsOfMs = position.asOfMs
    this.#hasBegun = !isBeginning(position.place)
    this.#givenAsOfMs = position.asOfMs
    this.#rows = new ShardRows(position, {
      range: shard === null ? null : hashRange(shard.hashKeyStart, shard.hashKeyEnd),
      createdMs: position.createdMs,
      foreign: (records) => this.#countForeign(records),
    })
    if (this.#fetchFrom === null) void this.#findChildren([])
    else void this.#fetch(this.#fetchFrom)
  }

  async read(recordsMax: number): Promise<ReadResult> {
    if (!this.#hasNews) await this.#news()
    const rows = this.#rows
    if (this.#closed.signal.aborted) return { kind: 'stop' }
    if (!rows.isEmpty) {
      const bufferedBytes = rows.bufferedBytes
      const batch = rows.take(recordsMax)
      this.#options.budget.add(rows.bufferedBytes - bufferedBytes)
      if (batch !== null) {
        this.#givenAsOfMs = rows.position.asOfMs
        return { kind: 'records', batch }
      }
    }
    if (!rows.isEmpty) return { kind: 'records', batch: rows.none() }
    if (this.#failure !== null) throw this.#failure
    if (this.#children !== null) return this.#handOn(this.#children)
    if (this.#tipMs !== null) return this.#quiet(this.#tipMs)
    // Nobody knows whether there is something: no more to say than that.
    return { kind: 'records', batch: rows.none() }
  }

  async close(): Promise<void> {
    if (this.#closed.signal.aborted) return
    this.#closed.abort(CLOSED)
    const { bufferedBytes } = this.#rows
    this.#rows.drop()
    this.#options.budget.add(-bufferedBytes)
    this.#ring()
  }

  /** Once more where Kinesis is to be asked again a little later. */
  async #fetch(from: ShardStart): Promise<void> {
    const { clock, fetch } = this.#options
    const { signal } = this.#closed
    const target = this.#target(from)
    for (;;) {
      this.#isAhead = false
      await fetch(target)
      if (!this.#isAhead || signal.aborted) return
      await clock.sleep(AHEAD_PAUSE_MS, signal)
    }
  }

  #target(from: ShardStart): ShardTarget {
    const { place, budget } = this.#options
    const { signal } = this.#closed
    const startNow = (): ShardStart => this.#fetchFrom ?? from
    return {
      place,
      get start() {
        return startNow()
      },
      signal,
      room: () => budget.room(() => signal.aborted || this.#rows.isEmpty),
      accept: (answer) => this.#accept(answer),
      fail: (error) => this.#fail(error),
    }
  }

  #accept({ records, millisBehindLatest, children }: ShardAnswer): void {
    if (this.#closed.signal.aborted || this.#failure !== null) return
    const { clock, budget, retentionMs } = this.#options
    const nowMs = clock.nowMs()
    const last = records.at(-1)
    if (last !== undefined) {
      this.#watchForLoss(records[0]!.arrivalMs, nowMs)
      if (this.#failure !== null) return
      const { bufferedBytes } = this.#rows
      this.#rows.add(records)
      budget.add(this.#rows.bufferedBytes - bufferedBytes)
      this.#fetchFrom = { kind: 'after', sequenceNumber: last.sequenceNumber }
      this.#fetchedAsOfMs = this.#hasBegun ? Math.max(this.#fetchedAsOfMs, last.arrivalMs) : last.arrivalMs
      this.#hasBegun = true
    }
    if (children !== null) void this.#findChildren(children)
    else {
      const isAtTip = millisBehindLatest === null ? last === undefined : millisBehindLatest === 0
      this.#tipMs = isAtTip ? nowMs : null
      const behindMs = millisBehindLatest ?? (isAtTip ? 0 : Number.POSITIVE_INFINITY)
      this.#fetchedAsOfMs = Math.max(this.#fetchedAsOfMs, nowMs - behindMs)
    }
    const isKnown = this.#hasBegun || this.#tipMs !== null
    if (isKnown && this.#fetchedAsOfMs - this.#marginMs >= nowMs - retentionMs()) this.#wasSafe = true
    if (this.#hasNews) this.#ring()
  }

  #fail(error: PipelineError): void {
    const { clock } = this.#options
    const from = this.#fetchFrom
    const aheadMs = from?.kind === 'time' ? from.timeMs - clock.nowMs() : Number.NEGATIVE_INFINITY
    if (error.code === 'KINESIS_REFUSED' && Math.abs(aheadMs) < AHEAD_MS_MAX && /time/i.test(error.message)) {
      this.#isAhead = true
      return
    }
    void this.#endBy(error)
  }

  async #endBy(fault: PipelineError): Promise<void> {
    const { explain, isGone } = this.#options
    if (fault.code === 'STREAM_NOT_FOUND' && (await isGone(this.#closed.signal))) this.#endGone()
    else this.#end(await explain(fault))
  }

  /** A closed shard goes with its last record. It had none that was not accepted where its tip had been reached within the retention. */
  #endGone(): void {
    const { partition, clock, retentionMs, acceptLoss, log } = this.#options
    const asOfMs = this.#fetchedAsOfMs
    if (!this.#wasSafe || asOfMs < clock.nowMs() - retentionMs()) {
      if (!acceptLoss) return this.#end(shardGone(partition.id, asOfMs))
      log.warn({ partition: partition.id, from: instant(asOfMs), to: 'its end' }, LOSS_ACCEPTED)
    }
    void this.#findChildren([])
  }

  #end(failure: PipelineError): void {
    this.#failure ??= failure
    this.#ring()
  }

  /** What follows the shard, once all of it has been accepted. */
  async #findChildren(named: readonly string[]): Promise<void> {
    const { clock, children, place } = this.#options
    const { signal } = this.#closed
    this.#tipMs = null
    let found = named
    for (let look = 1; found.length === 0 && look <= CHILDREN_LOOKS && !signal.aborted; ) {
      if (look > 1) await clock.sleep(CHILDREN_PAUSE_MS, signal)
      try {
        found = await children(place.shardId)
        look++
      } catch (error) {
        if (error instanceof PipelineError && error.retryable) await clock.sleep(CHILDREN_PAUSE_MS, signal)
        else return this.#end(asFailure(error))
      }
    }
    this.#children = found
    this.#ring()
  }

  #handOn(children: readonly string[]): ReadResult {
    const { place } = this.#options
    const position = encodeKinesisPosition({ ...this.#rows.position, place: { kind: 'end' } })
    return { kind: 'handed-on', to: children.map((shardId) => taskOfShard(place.stream, shardId)), position }
  }

  #quiet(arrivalClockMs: number): ReadResult {
    this.#tipMs = null
    this.#rows.knownUntil(arrivalClockMs)
    const { position } = this.#rows
    const isOld = position.asOfMs - this.#givenAsOfMs >= this.#options.retentionMs() / QUIET_PARTS
    if (!isOld) return { kind: 'quiet', arrivalClockMs }
    this.#givenAsOfMs = position.asOfMs
    return { kind: 'quiet', arrivalClockMs, position: encodeKinesisPosition(position) }
  }

  /**
   * Kinesis goes on at its trim horizon, without a word, where a reader is slower than the retention. One that has been well within it has lost records then. One
   * that begins at the horizon has asked for what there is, and is told where it never gets away from it.
   */
  #watchForLoss(firstArrivalMs: number, nowMs: number): void {
    const { partition, retentionMs, acceptLoss, log } = this.#options
    const asOfMs = this.#fetchedAsOfMs
    const horizonMs = nowMs - retentionMs()
    const toleratedMs = this.#wasSafe ? 0 : this.#marginMs
    if (asOfMs + toleratedMs >= horizonMs || firstArrivalMs <= asOfMs) return
    if (this.#wasSafe && !acceptLoss) return this.#end(positionExpired(partition.id, asOfMs, horizonMs))
    if (this.#hasWarnedOfLoss) return
    this.#hasWarnedOfLoss = true
    log.warn(
      { partition: partition.id, from: instant(asOfMs), to: instant(Math.min(firstArrivalMs, horizonMs)) },
      'reading is slower than retention: it may have deleted records before they were read',
    )
  }

  get #marginMs(): number {
    return this.#options.retentionMs() / MARGIN_PARTS
  }

  #countForeign(records: number): void {
    const { counts, log, partition } = this.#options
    counts.add('foreignRecords', records)
    if (this.#hasWarnedOfForeign) return
    this.#hasWarnedOfForeign = true
    log.warn(
      { partition: partition.id, records },
      'an aggregate has records whose keys belong to other shards: they are left out, as its producer is to put them again (docs/kinesis.md, KPL aggregates)',
    )
  }

  get #hasNews(): boolean {
    return (
      this.#closed.signal.aborted ||
      !this.#rows.isEmpty ||
      this.#failure !== null ||
      this.#children !== null ||
      this.#tipMs !== null
    )
  }

  async #news(): Promise<void> {
    const { clock, readWaitMs } = this.#options
    const woken = new AbortController()
    this.#wake = () => woken.abort(WOKEN)
    await clock.sleep(readWaitMs, woken.signal)
    this.#wake = null
  }

  #ring(): void {
    this.#wake?.()
  }
}

/** Without a reason of ours each abort would make an error with a stack. */
const WOKEN = 'woken'
const CLOSED = 'closed'

function asFailure(error: unknown): PipelineError {
  if (error instanceof PipelineError) return error
  return new PipelineError('KINESIS_UNAVAILABLE', 'the shards of the stream cannot be listed', {
    cause: error,
  })
}
