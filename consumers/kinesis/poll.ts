import { PipelineError } from '../../src/errors.ts'
import type { KinesisApi, ShardStart, WireRecord } from '../../src/kinesis/api.ts'
import type { PollLimits } from './poll-limits.ts'
import { PollTrouble } from './poll-trouble.ts'
import { borrowBudget, type ReadBudget } from './read-budget.ts'
import { asFault, unavailable } from './read-fault.ts'
import type { ShardFetch, ShardTarget } from './shard-fetch.ts'
import type { OutageWorld } from './shard-outage.ts'
import { whileRead } from './while-read.ts'

export interface PollOptions extends OutageWorld {
  readonly api: Pick<KinesisApi, 'description' | 'shardIterator' | 'getRecords' | 'listShards'>
  readonly limits: PollLimits
}

/**
 * Reads a shard by asking again and again: as fast as the limits of Kinesis allow while it is behind, once in a while at the tip. An iterator goes on only when its answer
 * was accepted, so that an answer that is lost is asked for again, and a new iterator begins behind what was accepted: nothing is lost, and nothing comes twice.
 */
export function pollShard(options: PollOptions): ShardFetch {
  return async (target) => {
    const { clock, api } = options
    const { budget, giveBack } = borrowBudget(clock, api.description, target.place)
    try {
      await new Poller(options, target, budget).run()
    } finally {
      giveBack()
    }
  }
}

/** Of the interval, from one read that brings nothing to the next. */
const IDLE_GROWTH = 1.5
const MISSED_TRIES_MAX = 10

class Poller {
  readonly #options: PollOptions
  readonly #target: ShardTarget
  readonly #budget: ReadBudget
  readonly #trouble: PollTrouble
  #iterator: string | null = null
  #intervalMs: number
  /** When LATEST was asked for: what arrives later must be read, whatever becomes of the iterator. */
  #latestMs: number | null = null
  /** In a row. */
  #missedTries = 0
  #hasEnded = false

  constructor(options: PollOptions, target: ShardTarget, budget: ReadBudget) {
    this.#options = options
    this.#target = target
    this.#budget = budget
    this.#trouble = new PollTrouble(options, options.limits, target.place)
    this.#intervalMs = options.limits.intervalMs
  }

  async run(): Promise<void> {
    const { signal } = this.#target
    while (!signal.aborted && !this.#hasEnded) {
      await this.#target.room()
      if (signal.aborted) return
      const waitMs = await this.#step()
      if (waitMs > 0 && !this.#hasEnded) await this.#options.clock.sleep(waitMs, signal)
    }
  }

  /** One read, or one that failed. Gives the milliseconds to wait before the next. */
  async #step(): Promise<number> {
    try {
      return await this.#read()
    } catch (error) {
      const fault = asFault(error)
      try {
        return await this.#failed(fault)
      } catch (final) {
        this.#hasEnded = true
        this.#target.fail(asFault(final))
        return 0
      }
    }
  }

  async #read(): Promise<number> {
    const { api, limits } = this.#options
    const { place, signal } = this.#target
    this.#iterator ??= await whileRead(signal, api.shardIterator(place, this.#start()))
    await this.#budget.turn(limits, signal)
    if (this.#iterator === null || signal.aborted) return 0
    const answer = await whileRead(signal, api.getRecords(this.#iterator, limits.recordsMax, place))
    if (answer === null) return 0
    const { records, millisBehindLatest, nextIterator } = answer
    this.#budget.spend(limits, bytesOf(records))
    const children = answer.children ?? (nextIterator === null ? [] : null)
    if (children?.length === 0) await this.#checkClosed()
    if (signal.aborted) return 0
    this.#target.accept({ records, millisBehindLatest, children })
    this.#iterator = nextIterator
    this.#hasEnded = children !== null
    this.#trouble.worked()
    this.#missedTries = 0
    // Where a server does not say how far behind it is, a full answer does.
    const isBehind = (millisBehindLatest ?? 0) > 0 || records.length >= limits.recordsMax
    return this.#interval(isBehind, records.length > 0)
  }

  /** Without end: the budget holds back who is behind. */
  #interval(isBehind: boolean, hasRecords: boolean): number {
    const { intervalMs, idleIntervalMs } = this.#options.limits
    if (isBehind || hasRecords) {
      this.#intervalMs = intervalMs
      return isBehind ? 0 : intervalMs
    }
    const waitMs = this.#intervalMs
    this.#intervalMs = Math.min(idleIntervalMs, waitMs * IDLE_GROWTH)
    return waitMs
  }

  #start(): ShardStart {
    const { start } = this.#target
    if (start.kind !== 'latest') return start
    if (this.#latestMs !== null) return { kind: 'time', timeMs: this.#latestMs }
    this.#latestMs = this.#options.clock.nowMs()
    return start
  }

  /** An end without children is strange enough to ask again: a shard that is called ended is never read again. */
  async #checkClosed(): Promise<void> {
    const { stream, shardId } = this.#target.place
    const shards = await whileRead(this.#target.signal, this.#options.api.listShards(stream))
    if (shards?.find((shard) => shard.shardId === shardId)?.isClosed !== false) return
    throw unavailable(`an answer says that ${shardId} of stream ${stream} has ended, and the shard is open`)
  }

  /** Gives the milliseconds to wait. Throws what waiting does not mend. */
  async #failed(fault: PipelineError): Promise<number> {
    if (this.#target.signal.aborted) return 0
    if (fault.code === 'KINESIS_ITERATOR_EXPIRED') this.#iterator = null
    if (fault.code === 'STREAM_NOT_FOUND') return await this.#missing(fault)
    if (!fault.retryable) throw fault
    return this.#trouble.failed(fault)
  }

  /**
   * A shard that is new may be known to one part of Kinesis before it is to another. One that could be read before, or is not listed, is gone: with its last record, or
   * with its stream. Either ends the reading: whoever begins again looks at the stream, and at whether something was lost.
   */
  async #missing(fault: PipelineError): Promise<number> {
    const { stream, shardId } = this.#target.place
    if (this.#iterator !== null || ++this.#missedTries > MISSED_TRIES_MAX) throw fault
    const shards = await whileRead(this.#target.signal, this.#options.api.listShards(stream)).catch(asFault)
    if (shards === null) return 0
    if (shards instanceof PipelineError) {
      if (!shards.retryable) throw shards
      return this.#trouble.failed(shards)
    }
    if (!shards.some((shard) => shard.shardId === shardId)) throw fault
    return this.#trouble.failed(unavailable(`${fault.message}, and the shard is listed`))
  }
}

function bytesOf(records: readonly WireRecord[]): number {
  let bytes = 0
  for (const { data, partitionKey } of records) bytes += data.length + partitionKey.length
  return bytes
}
