import { decideRedo } from '../checkpoint/decide.ts'
import { ChainKeys, MERGE_TASK } from '../checkpoint/keys.ts'
import { parseAvroSchema } from '../avro/schema-model.ts'
import { compilePlan, type Plan, tableShapesOf } from '../engine/plan.ts'
import { sumTotals, type Totals } from '../engine/totals.ts'
import { WriterSchemas } from '../engine/writer-schemas.ts'
import { messageOf, PipelineError } from '../errors.ts'
import type { SourcePartition } from '../ports.ts'
import { fingerprintOf } from '../topology/fingerprint.ts'
import type { PipelineSpec } from '../topology/node.ts'
import type { RunBindings, RunSummary, TableSummary } from './bindings.ts'
import { Chain } from './chain.ts'
import { resolveIncarnation } from './incarnation.ts'
import { MergeDriver, mergeTables } from './merge-driver.ts'
import { MergeFeed } from './merge-feed.ts'
import { deleteOrphans } from './orphans.ts'
import { PartitionDriver, partitionTables } from './partition-driver.ts'
import { probeStore } from './probe.ts'
import { type Retry, retrying } from './retry.ts'
import { ALL_RULES, type ProtocolRules } from './rules.ts'
import { RunState } from './run-state.ts'
import { TablePublisher } from './table-publisher.ts'
import { type ChainTail, type Ownership, OwnershipLost, readTail, takeOver } from './takeover.ts'
import type { TaskContext } from './task-context.ts'

/**
 * Runs a pipeline until its source ends, the signal aborts, or another owner takes over: the one driver, for production, replays and
 * the simulator. Throws PipelineError; whatever was recorded by then is safe, and the next start goes on from there.
 */
export async function runPipeline(
  spec: PipelineSpec,
  bindings: RunBindings,
  rules: ProtocolRules = ALL_RULES,
): Promise<RunSummary> {
  const run = new PipelineRun(spec, bindings, rules)
  return run.run()
}

class PipelineRun {
  readonly #spec: PipelineSpec
  readonly #bindings: RunBindings
  readonly #rules: ProtocolRules
  readonly #runId: string
  readonly #retry: Retry
  readonly #state: RunState
  readonly #startMs: number

  constructor(spec: PipelineSpec, bindings: RunBindings, rules: ProtocolRules) {
    const { clock, entropy, log, onProgress } = bindings
    this.#spec = spec
    this.#bindings = bindings
    this.#rules = rules
    this.#runId = entropy.nonce()
    this.#state = new RunState(onProgress)
    this.#retry = { clock, entropy, log: log.child({ run: this.#runId }), signal: this.#state.signal }
    this.#startMs = clock.nowMs()
  }

  async run(): Promise<RunSummary> {
    const { source, signal } = this.#bindings
    const stop = (): void => this.#state.stop()
    signal?.addEventListener('abort', stop)
    if (signal?.aborted) stop()
    try {
      return await this.#run()
    } finally {
      signal?.removeEventListener('abort', stop)
      await source.close()
    }
  }

  async #run(): Promise<RunSummary> {
    const { source, lake } = this.#bindings
    const partitions = await retrying(this.#retry, `partitions of ${source.description}`, () =>
      source.partitions(),
    )
    refuseTaskName(partitions)
    const topics = [...new Set(partitions.map((partition) => partition.topic))]
    const plan = compilePlan(this.#spec, topics)
    await probeStore(lake, this.#retry)
    const context = await this.#openContext(plan, partitions)
    const chains = new Map(partitions.map(({ id }) => [id, this.#chain(context, id)]))
    const merge = plan.aggregates.length === 0 ? null : this.#chain(context, MERGE_TASK)
    const finished = await this.#totalsIfFinished(context, chains, merge)
    if (finished !== null) return this.#summary(context, 'nothing-to-do', finished, 0)
    try {
      return await this.#work(context, partitions, topics, chains, merge)
    } catch (error) {
      if (!(error instanceof OwnershipLost)) throw error
      context.log.warn({ error: error.message }, 'another process has taken over')
      return this.#summary(context, 'lost', sumTotals([]), 0)
    }
  }

  #chain(context: TaskContext, task: string): Chain {
    return new Chain(context.store, context.keys, task, context.retry, context.rules)
  }

  async #openContext(plan: Plan, partitions: readonly SourcePartition[]): Promise<TaskContext> {
    const { lake, format, clock, entropy, fresh, source } = this.#bindings
    const { incarnation } = await resolveIncarnation({
      store: lake,
      pipeline: this.#spec.name,
      fingerprint: fingerprintOf(this.#spec),
      source: source.identity ?? null,
      tasks: partitions.map(({ id }) => id),
      fresh,
      run: this.#runId,
      retry: this.#retry,
      rules: this.#rules,
    })
    const keys = new ChainKeys(this.#spec.name, incarnation)
    const log = this.#retry.log.child({ pipeline: this.#spec.name, incarnation })
    const retry = { ...this.#retry, log }
    const publishers = new Map<string, TablePublisher>()
    for (const shape of tableShapesOf(plan)) {
      const publisher = new TablePublisher({
        log: format.open(shape),
        retry,
        rules: this.#rules,
        pipeline: this.#spec.name,
        incarnation,
        incarnationAppId: keys.incarnationAppId,
        isOwned: shape !== plan.deadLetters,
        run: this.#runId,
      })
      await publisher.open()
      publishers.set(shape.path, publisher)
    }
    return {
      plan,
      pipeline: this.#spec.name,
      incarnation,
      run: this.#runId,
      store: lake,
      encoder: format.encoder,
      keys,
      publishers,
      clock,
      entropy,
      log,
      retry,
      rules: this.#rules,
    }
  }

  /** The totals where everything is read and published, so that a start needs no claim; else null. */
  async #totalsIfFinished(
    context: TaskContext,
    chains: ReadonlyMap<string, Chain>,
    merge: Chain | null,
  ): Promise<Totals | null> {
    const totals: Totals[] = []
    const heads = new Map<string, number>()
    if (![...context.publishers.values()].every((publisher) => publisher.isCurrent)) return null
    for (const [task, chain] of chains) {
      const tail = await readTail(chain, partitionTables(context))
      const work = tail.last?.work
      if (work?.type !== 'partition' || !work.state.ended || hasPending(context, task, tail)) return null
      heads.set(task, tail.last!.epoch)
      totals.push(work.state.totals)
    }
    // Without a source partition the merge has nothing to fold, and no record of it.
    if (merge !== null && chains.size > 0) {
      const tail = await readTail(merge, mergeTables(context))
      const work = tail.last?.work
      if (work?.type !== 'merge' || hasPending(context, MERGE_TASK, tail)) return null
      for (const [task, head] of heads) if ((work.state.sources[task]?.epoch ?? -1) < head) return null
      totals.push(work.state.totals)
    }
    return sumTotals(totals)
  }

  async #work(
    context: TaskContext,
    partitions: readonly SourcePartition[],
    topics: readonly string[],
    chains: ReadonlyMap<string, Chain>,
    merge: Chain | null,
  ): Promise<RunSummary> {
    const owned = new Map<string, Ownership>()
    for (const [task, chain] of chains)
      owned.set(task, await takeOver(context, chain, partitionTables(context)))
    if (merge !== null) owned.set(MERGE_TASK, await takeOver(context, merge, mergeTables(context)))
    await deleteOrphans(context, owned, [...context.publishers.keys()])

    const feed = new MergeFeed()
    const schemas = new WriterSchemas(parseAvroSchema(this.#spec.source.schema.avro))
    const drivers = partitions.map(
      (partition) =>
        new PartitionDriver({
          context,
          bindings: this.#bindings,
          partition,
          topics,
          chain: chains.get(partition.id)!,
          ownership: owned.get(partition.id)!,
          schemas,
          feed: merge === null ? null : feed,
          state: this.#state,
        }),
    )
    const mergeDriver = merge === null ? null : this.#mergeDriver(context, merge, chains, owned, feed)
    await this.#runAll(drivers, mergeDriver, feed)
    const failure = this.#state.failure
    if (failure !== null) throw failure.error
    await this.#switchTables(context)

    const totals = sumTotals([
      ...drivers.map((driver) => driver.task.totals),
      ...(mergeDriver === null ? [] : [mergeDriver.task.state.totals]),
    ])
    const epochs = drivers.reduce(
      (sum, driver) => sum + driver.committer.records,
      mergeDriver?.committer.records ?? 0,
    )
    const ended = drivers.every((driver) => driver.task.ended)
    return this.#summary(context, ended ? 'completed' : 'stopped', totals, epochs)
  }

  #mergeDriver(
    context: TaskContext,
    chain: Chain,
    chains: ReadonlyMap<string, Chain>,
    owned: ReadonlyMap<string, Ownership>,
    feed: MergeFeed,
  ): MergeDriver {
    const sources = new Map(
      [...chains].map(([task, source]) => [task, { chain: source, head: owned.get(task)!.claim }]),
    )
    return new MergeDriver({
      context,
      chain,
      ownership: owned.get(MERGE_TASK)!,
      sources,
      feed,
      state: this.#state,
    })
  }

  /** Every task ends by itself; a failure stops the others, which still record what they have. */
  async #runAll(
    drivers: readonly PartitionDriver[],
    mergeDriver: MergeDriver | null,
    feed: MergeFeed,
  ): Promise<void> {
    const guard = (work: Promise<void>): Promise<void> => work.catch((error: unknown) => this.#fail(error))
    const partitions = Promise.all(drivers.map((driver) => guard(driver.run()))).then(() => feed.close())
    await Promise.all([partitions, mergeDriver === null ? null : guard(mergeDriver.run())])
  }

  /** The first failure is what the run ends with; the others would be seen by nobody. */
  #fail(error: unknown): void {
    const first = this.#state.failure
    this.#state.fail(error)
    if (first === null || first.error === error || error instanceof OwnershipLost) return
    this.#retry.log.warn({ error: messageOf(error) }, 'another task failed too')
  }

  /** A table that got no row in this incarnation exists all the same, and has none of its predecessor's. */
  async #switchTables(context: TaskContext): Promise<void> {
    const nothing = { appId: context.keys.appId('none'), epoch: -1, files: [] }
    await Promise.all([...context.publishers.values()].map((publisher) => publisher.publish(nothing)))
  }

  async #summary(
    context: TaskContext,
    outcome: RunSummary['outcome'],
    totals: Totals,
    epochs: number,
  ): Promise<RunSummary> {
    const tables: TableSummary[] = []
    for (const publisher of context.publishers.values()) tables.push(await publisher.summary())
    return {
      outcome,
      runId: this.#runId,
      incarnation: context.incarnation,
      records: this.#state.records,
      epochs,
      durationMs: this.#bindings.clock.nowMs() - this.#startMs,
      totals,
      tables,
    }
  }
}

/** The chain of the merge lies beside those of the partitions. */
function refuseTaskName(partitions: readonly SourcePartition[]): void {
  const taken = partitions.find(({ id }) => id === MERGE_TASK)
  if (taken === undefined) return
  throw new PipelineError(
    'TASK_NAME_TAKEN',
    `topic ${taken.topic} has a partition ${taken.id}, which is the name of the merge`,
    {
      advice: 'Record the topic under another name.',
    },
  )
}

function hasPending(context: TaskContext, task: string, tail: ChainTail): boolean {
  const appId = context.keys.appId(task)
  const markers = new Map(
    [...context.publishers].map(([path, publisher]) => [path, publisher.markerOf(appId)]),
  )
  return decideRedo(tail.records, markers).length > 0
}
