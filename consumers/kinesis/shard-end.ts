import { messageOf, PipelineError } from '../../src/errors.ts'
import type { KinesisApi, ShardFacts, ShardPlace, ShardStart } from '../../src/kinesis/api.ts'
import type { Clock, Log } from '../../src/ports.ts'
import { unavailable } from './read-fault.ts'

export interface ShardEndOptions {
  readonly api: Pick<KinesisApi, 'listShards' | 'shardIterator' | 'getRecords'>
  readonly clock: Clock
  readonly log: Log
  /** What the last list of shards said, which somebody else asks for. */
  readonly isClosed: (shardId: string) => boolean
}

/** A closed shard that has nothing more to say is asked as often. */
const ASK_MS = 5_000
const STILL_LISTED_MAX = 10

/** Finds out whether a shard has ended where a subscription says so in a strange way, or not at all. */
export class ShardEnd {
  readonly #options: ShardEndOptions
  readonly #place: ShardPlace
  #askedMs = Number.NEGATIVE_INFINITY
  /** In a row. */
  #timesStillListed = 0

  constructor(options: ShardEndOptions, place: ShardPlace) {
    this.#options = options
    this.#place = place
  }

  /** An end without children is strange enough to ask the list: a shard that is called ended is never read again. */
  async isConfirmed(): Promise<boolean> {
    const { shardId } = this.#place
    return (await this.#shards()).find((shard) => shard.shardId === shardId)?.isClosed !== false
  }

  /**
   * Kinesis ends a subscription with its shard. Stand-ins do not: behind the last record of a closed shard they send events without records for ever. GetRecords tells
   * then. The children, or null while there is no end.
   */
  async ofQuiet(start: ShardStart): Promise<readonly string[] | null> {
    const { api, clock, log, isClosed } = this.#options
    const nowMs = clock.nowMs()
    if (!isClosed(this.#place.shardId) || nowMs - this.#askedMs < ASK_MS) return null
    this.#askedMs = nowMs
    try {
      const iterator = await api.shardIterator(this.#place, start)
      const { records, children } = await api.getRecords(iterator, 1, this.#place)
      return records.length === 0 ? children : null
    } catch (error) {
      // Who reads by fan-out need not have the right to poll.
      log.debug(
        { shard: this.#place.shardId, error: messageOf(error) },
        'cannot ask whether the shard has ended',
      )
      return null
    }
  }

  /**
   * Kinesis does not know the shard. Throws KINESIS_UNAVAILABLE while the shard is listed, and `fault` where it stays in the list, or is not in it any more: it has gone
   * with its last record then, and whether something was lost to its reader is for the reader to judge.
   */
  async ofMissing(fault: PipelineError): Promise<never> {
    const isListed = (await this.#shards()).some((shard) => shard.shardId === this.#place.shardId)
    // One part of Kinesis may know of it later than another.
    if (!isListed || ++this.#timesStillListed > STILL_LISTED_MAX) throw fault
    throw unavailable(`${fault.message}, and the shard is listed`)
  }

  /** The shard has answered. */
  worked(): void {
    this.#timesStillListed = 0
  }

  #shards(): Promise<readonly ShardFacts[]> {
    return this.#options.api.listShards(this.#place.stream)
  }
}
