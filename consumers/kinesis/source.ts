import { assert } from '../../src/errors.ts'
import type { KinesisApi, ShardFacts, StreamFacts } from '../../src/kinesis/api.ts'
import { KinesisClientApi } from '../../src/kinesis/client.ts'
import { kinesisClusterId } from '../../src/kinesis/cluster-id.ts'
import { KinesisCounts } from '../../src/kinesis/counts.ts'
import type { KinesisOptions } from '../../src/kinesis/options.ts'
import { LeaseMembership, type LeaseTimes } from '../../src/leases/lease-membership.ts'
import type {
  MembershipPlace,
  PartitionReader,
  Source,
  SourcePartition,
  SourceWorld,
} from '../../src/ports.ts'
import { CountsReport } from './counts-report.ts'
import { FanOutConsumer } from './fan-out-consumer.ts'
import { fanOut } from './fan-out.ts'
import { FeedBudget } from './feed-budget.ts'
import { beginOf, decideRoots, readShards, type Roots, type StreamStart } from './lineage.ts'
import type { PollLimits } from './poll-limits.ts'
import { pollShard } from './poll.ts'
import { encodeKinesisPosition, type KinesisPosition, parseKinesisPosition } from './position.ts'
import { loadRoots, settleRoots } from './roots-file.ts'
import { MARGIN_PARTS, ShardFeed } from './shard-feed.ts'
import type { ShardFetch } from './shard-fetch.ts'
import { shardNumber, shardOfTask, taskOfShard } from './shard-task.ts'
import {
  instant,
  LOSS_ACCEPTED,
  positionExpired,
  shardGone,
  streamChanged,
  streamRecreated,
} from './source-error.ts'
import { StreamWatch } from './stream-watch.ts'

export interface KinesisSourceOptions {
  readonly stream: string
  readonly kinesis: KinesisOptions
  readonly from: StreamStart
  /** Null: shards are polled. */
  readonly fanOut: { readonly consumer: string } | null
  readonly limits: PollLimits
  /** Of all shards that this process reads, in memory. */
  readonly bufferBytes: number
  readonly leases: LeaseTimes
  /** Of this process, over restarts. */
  readonly workerName: string | null
}

/** A reader is never kept longer than this: it may have an epoch to cut. */
const READ_WAIT_MS = 1_000

/**
 * The shards of one stream as a source. Positions are those of the chain; which process reads which shard, leases in the object store say. A source whose membership is
 * not joined reads what it is told to: where a shard begins that has no position, it decides for itself then.
 */
export class KinesisSource implements Source {
  readonly membership: LeaseMembership
  readonly #options: KinesisSourceOptions
  readonly #world: SourceWorld
  readonly #api: KinesisApi
  readonly #counts: KinesisCounts
  readonly #report: CountsReport
  readonly #budget: FeedBudget
  readonly #fetch: ShardFetch
  readonly #watch: StreamWatch
  /** As decided in the incarnation, and where its objects are; without a membership as decided here. */
  #settled: { readonly prefix: string; readonly roots: Roots } | null = null
  #ownRoots: Roots | null = null

  constructor(options: KinesisSourceOptions, world: SourceWorld, api?: KinesisApi) {
    const counts = new KinesisCounts()
    const { stream, kinesis, leases, workerName, bufferBytes } = options
    this.#options = options
    this.#world = world
    this.#counts = counts
    this.#api = api ?? new KinesisClientApi(kinesis, world, counts)
    this.#watch = new StreamWatch(this.#api, stream, world.clock)
    this.#report = new CountsReport(counts, stream, world)
    this.#budget = new FeedBudget(bufferBytes)
    this.#fetch = this.#fetchBy()
    this.membership = new LeaseMembership({
      source: {
        partitions: (place) => this.#partitionsAt(place),
        partition: (id) => this.partitionOf(id),
      },
      name: workerName,
      times: leases,
      world,
    })
  }

  get description(): string {
    return `stream ${this.#options.stream} of ${this.#api.description}`
  }

  /** Of the account and region: a stream's name is unique in it. */
  get clusterId(): string | null {
    const arn = this.#watch.last?.facts.arn
    return arn === undefined ? null : kinesisClusterId(arn)
  }

  /** All shards that are listed: which of them are read is decided when the pipeline begins, in its incarnation. */
  async partitions(): Promise<readonly SourcePartition[]> {
    const { shards } = await this.#watch.look()
    const listed = new Set(shards.map(({ shardId }) => shardId))
    return shards.map(({ shardId, parents }) =>
      this.#partition(
        shardId,
        parents.filter((parent) => listed.has(parent)),
      ),
    )
  }

  /** Any shard of the stream, also one that is gone from its list. */
  partitionOf(id: string): SourcePartition | null {
    const shardId = this.#shardIdOf(id)
    return shardId === null ? null : this.#partition(shardId, [])
  }

  async open(
    partition: SourcePartition,
    position: string | null,
    parentPositions: readonly string[] = [],
  ): Promise<PartitionReader> {
    const { clock, log, acceptLoss } = this.#world
    const { stream } = this.#options
    const shardId = this.#shardIdOf(partition.id)
    assert(shardId !== null, `${partition.id} is no shard of ${stream}`)
    const { facts, shards } = await this.#watch.lookFor(shardId)
    const shard = shards.find((listed) => listed.shardId === shardId) ?? null
    const from =
      position === null
        ? this.#begin(facts, shards, shardId, parentPositions.map(parseKinesisPosition))
        : parseKinesisPosition(position)
    const asOfMs = this.#knownUntil(partition, facts, shard, from)
    this.#report.start()
    return new ShardFeed({
      partition,
      place: { stream, shardId },
      shard,
      position: { ...from, asOfMs },
      start: position === null ? encodeKinesisPosition(from) : undefined,
      clock,
      log,
      counts: this.#counts,
      retentionMs: () => (this.#watch.last?.facts ?? facts).retentionMs,
      acceptLoss,
      budget: this.#budget,
      fetch: this.#fetch,
      children: (parent) => this.#watch.childrenOf(parent),
      isGone: (signal) => this.#watch.isGone(shardId, from.createdMs, signal),
      explain: (error) => this.#watch.explain(error, from.createdMs),
      readWaitMs: READ_WAIT_MS,
    })
  }

  offsetOf(position: string): string {
    return String(parseKinesisPosition(position).offset)
  }

  async close(): Promise<void> {
    this.#report.stop()
    this.#api.close()
  }

  #fetchBy(): ShardFetch {
    const { fanOut: registered, limits } = this.#options
    const { clock, entropy, log } = this.#world
    const api = this.#api
    const counts = this.#counts
    if (registered === null) return pollShard({ api, clock, entropy, log, counts, limits })
    const consumer = new FanOutConsumer({
      api,
      stream: () => this.#watch.sameStream(),
      name: registered.consumer,
      clock,
      log,
    })
    const isClosed = (shardId: string): boolean =>
      this.#watch.last?.shards.find((shard) => shard.shardId === shardId)?.isClosed ?? false
    return fanOut({ api, consumer, clock, entropy, log, counts, isClosed })
  }

  /** For the membership: what is read, as decided when the incarnation began. */
  async #partitionsAt(place: MembershipPlace): Promise<readonly SourcePartition[]> {
    const { facts, shards } = await this.#watch.look()
    const known = new Set(place.known.flatMap((id) => this.#shardIdOf(id) ?? []))
    if (this.#settled?.prefix !== place.prefix) {
      this.#settled = { prefix: place.prefix, roots: await this.#rootsAt(place, facts, shards, known) }
    }
    const { roots } = this.#settled
    const { createdMs } = roots
    if (createdMs !== facts.createdMs) {
      const was = place.known.flatMap((id) => shardOfTask(id)?.stream ?? [])
      throw was.length === 0 || was.includes(facts.stream)
        ? streamRecreated(facts.stream, createdMs, facts.createdMs)
        : streamChanged(facts.stream, was[0]!)
    }
    const heard = new Set([...known, ...this.#watch.heard])
    return readShards(roots, shards, heard).map(({ shardId, parents }) => this.#partition(shardId, parents))
  }

  async #rootsAt(
    place: MembershipPlace,
    { stream, createdMs }: StreamFacts,
    shards: readonly ShardFacts[],
    known: ReadonlySet<string>,
  ): Promise<Roots> {
    const settled = await loadRoots(place)
    if (settled !== null) return settled
    const { from } = this.#options
    const nowMs = this.#world.clock.nowMs()
    return settleRoots(place, decideRoots({ stream, createdMs, shards, from, known, nowMs }))
  }

  /** Where a shard begins that nobody has read in: its parents' offsets go on, and what is in it arrived after they had ended. */
  #begin(
    { stream, createdMs }: StreamFacts,
    shards: readonly ShardFacts[],
    shardId: string,
    parents: readonly KinesisPosition[],
  ): KinesisPosition {
    const { from } = this.#options
    const nowMs = this.#world.clock.nowMs()
    const decide = (): Roots => decideRoots({ stream, createdMs, shards, from, known: new Set(), nowMs })
    const roots = this.#settled?.roots ?? (this.#ownRoots ??= decide())
    return {
      createdMs: roots.createdMs,
      place: beginOf(roots, shardId),
      offset: Math.max(0, ...parents.map(({ offset }) => offset)),
      asOfMs: parents.length === 0 ? roots.decidedMs : Math.max(...parents.map(({ asOfMs }) => asOfMs)),
    }
  }

  /**
   * Until when nothing is missing at a position; where a loss is accepted, nothing more. Throws STREAM_RECREATED, and POSITION_EXPIRED unless the loss is
   * accepted.
   */
  #knownUntil(
    { id }: SourcePartition,
    { stream, createdMs, retentionMs }: StreamFacts,
    shard: ShardFacts | null,
    position: KinesisPosition,
  ): number {
    const { clock, log, acceptLoss } = this.#world
    if (position.createdMs !== createdMs) throw streamRecreated(stream, position.createdMs, createdMs)
    const { place, asOfMs } = position
    const nowMs = clock.nowMs()
    const horizonMs = nowMs - retentionMs
    if (place.kind === 'end' || (shard !== null && asOfMs >= horizonMs)) return asOfMs
    const roots = this.#settled?.roots
    const begunMs = roots === undefined || roots.goesOn ? Number.NEGATIVE_INFINITY : roots.decidedMs
    const isNew = shard !== null && nowMs - begunMs < retentionMs / MARGIN_PARTS
    if (!acceptLoss && !isNew) {
      throw shard === null ? shardGone(id, asOfMs) : positionExpired(id, asOfMs, horizonMs)
    }
    log.warn(
      { partition: id, from: instant(asOfMs), to: shard === null ? 'its end' : instant(horizonMs) },
      acceptLoss
        ? LOSS_ACCEPTED
        : 'the pipeline has just begun with the oldest records, and was started again while retention took more of them away: it goes on with what there is',
    )
    return Math.max(asOfMs, horizonMs)
  }

  #shardIdOf(task: string): string | null {
    const shard = shardOfTask(task)
    return shard?.stream === this.#options.stream ? shard.shardId : null
  }

  #partition(shardId: string, parents: readonly string[]): SourcePartition {
    const { stream } = this.#options
    return {
      id: taskOfShard(stream, shardId),
      topic: stream,
      partition: shardNumber(shardId),
      parents: parents.map((parent) => taskOfShard(stream, parent)),
    }
  }
}
