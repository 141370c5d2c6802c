import { setMaxListeners } from 'node:events'
import { historyOffset } from '../checkpoint/history-position.ts'
import { mergeTasksOf, mergeTasksOfStage, parseMergeTask } from '../checkpoint/keys.ts'
import { sumTotals, type Totals } from '../engine/totals.ts'
import type { WriterSchemas } from '../engine/writer-schemas.ts'
import { assert, messageOf } from '../errors.ts'
import type { Assignment, Membership, SourcePartition } from '../ports.ts'
import type { RunBindings } from './bindings.ts'
import { Chain } from './chain.ts'
import { hasRetired, partitionChains } from './chain-folders.ts'
import { MergeDriver } from './merge-driver.ts'
import { MergeSources } from './merge-sources.ts'
import { OrphanSweeper } from './orphans.ts'
import { mergeOutbox, mergeShapes, mergeTables, partitionTables, sinkNames } from './outputs.ts'
import { ownTask } from './own-task.ts'
import { OwnershipLost } from './ownership.ts'
import { PartitionDriver } from './partition-driver.ts'
import { PartitionEnds } from './partition-ends.ts'
import { Retention } from './retention.ts'
import type { RunState } from './run-state.ts'
import { rememberedSchemas } from './schema-memory.ts'
import { watchOthers } from './others-watch.ts'
import { StopScope } from './stop-scope.ts'
import type { TaskContext } from './task-context.ts'
import { TaskFeeds } from './task-feeds.ts'
import { TaskNews } from './task-news.ts'

export interface TaskSetOptions {
  readonly context: TaskContext
  readonly bindings: RunBindings
  readonly topics: readonly string[]
  readonly schemas: WriterSchemas
  readonly state: RunState
  /** Null where this process runs all tasks. */
  readonly membership: Membership | null
  /** Partitions with a chain or a history, which the source may not list any more. */
  readonly known: ReadonlySet<string>
}

interface RunningTask {
  readonly scope: StopScope
  readonly done: Promise<void>
}

/** The tasks that this process runs, each owned and ended by itself. */
export class TaskSet {
  readonly #options: TaskSetOptions
  readonly #feeds: TaskFeeds
  readonly #sweeper: OrphanSweeper
  readonly #retention: Retention
  readonly #bindings: RunBindings
  readonly #news: TaskNews
  readonly #partitions = new Map<string, RunningTask>()
  readonly #merges = new Map<string, RunningTask>()
  readonly #totals = new Map<string, Totals>()
  readonly #ended = new Set<string>()
  /** What follows those that have ended. */
  readonly #successors = new Set<string>()
  readonly #ends: PartitionEnds
  /** Looks at what other processes run. */
  readonly #watching = new StopScope()
  #watch: Promise<void> | null = null
  #all: readonly SourcePartition[] = []
  #epochs = 0

  constructor(options: TaskSetOptions) {
    this.#options = options
    this.#ends = new PartitionEnds(options.membership === null)
    this.#feeds = new TaskFeeds(options.context.plan, options.context.clock)
    this.#sweeper = new OrphanSweeper(options.context)
    this.#retention = new Retention(options.context, options.bindings.retention)
    this.#news = new TaskNews(options.context.log, options.context.clock)
    const { bindings, context } = options
    const { registry, source } = bindings
    const { store, keys } = context
    // A recording has its schemas beside it; a registry that others write to may be reset.
    this.#bindings =
      source.isBacklog === true
        ? bindings
        : { ...bindings, registry: rememberedSchemas({ registry, store, keys }) }
  }

  /** All that the pipeline has, whoever runs them. */
  get mergeTasks(): readonly string[] {
    return mergeTasksOf(this.#options.context.plan)
  }

  /** Epochs recorded by this process. */
  get epochs(): number {
    return this.#epochs
  }

  /** Of the tasks that this process has run, since their incarnation began. */
  get totals(): Totals {
    return sumTotals([...this.#totals.values()])
  }

  /** True where every partition has come to its end. */
  get isEnded(): boolean {
    const { membership } = this.#options
    // A group that has assigned nothing has ended nothing.
    if (membership !== null && this.#all.length === 0) return false
    const ids = [...this.#all.map(({ id }) => id), ...this.#successors]
    return ids.every((id) => this.#ended.has(id))
  }

  /** Runs these tasks from now on, and no others. A task that is ours already goes on undisturbed. */
  assign(assignment: Assignment): void {
    this.#all = assignment.all
    const partitions = new Set(assignment.partitions.map(({ id }) => id))
    for (const id of this.#partitions.keys())
      if (!partitions.has(id)) void this.#release(this.#partitions, id)
    for (const id of this.#merges.keys())
      if (!assignment.mergeTasks.includes(id)) void this.#release(this.#merges, id)
    for (const partition of assignment.partitions) this.#startPartition(partition)
    // Of a later stage first: what the others have for it then comes through memory.
    for (const task of this.mergeTasks.toReversed())
      if (assignment.mergeTasks.includes(task)) this.#startMerge(task)
    // Partitions that the source has got since hold the watermark from now on.
    this.#feeds.wake()
    this.#watch ??= this.#watchOthers()
  }

  /** Resolves when these tasks have recorded and published what they had, and are let go. */
  async release(tasks: readonly string[]): Promise<void> {
    const releases = tasks.flatMap((id) => [
      this.#release(this.#partitions, id),
      this.#release(this.#merges, id),
    ])
    await Promise.all(releases)
  }

  /** The membership has lost the group: what is open is finished as long as nobody else has it. */
  async releaseAll(): Promise<void> {
    await this.release([...this.#partitions.keys(), ...this.#merges.keys()])
  }

  /** Resolves when the partitions have ended by themselves or by a stop of the run, and the merges have folded the last of them, stage by stage. */
  async settled(): Promise<void> {
    const { plan } = this.#options.context
    await Promise.all([...this.#partitions.values()].map(({ done }) => done))
    for (let stage = 0; stage < plan.stages; stage++) {
      this.#feeds.close(stage)
      for (const task of mergeTasksOfStage(plan, stage)) await this.#merges.get(task)?.done
    }
    this.#watching.stop()
    await Promise.all([this.#sweeper.settled(), this.#retention.settled(), this.#watch])
  }

  async #watchOthers(): Promise<void> {
    const { context, membership, state } = this.#options
    const [merge] = this.mergeTasks
    if (state.alignment === null || membership === null || merge === undefined) return
    await watchOthers(context, merge, state.alignment, (id) => this.#partitions.has(id), this.#watching)
  }

  async #release(tasks: Map<string, RunningTask>, id: string): Promise<void> {
    const running = tasks.get(id)
    if (running === undefined) return
    if (!running.scope.isStopping) this.#news.leaving(id)
    running.scope.stop()
    await running.done
  }

  #startPartition(partition: SourcePartition): void {
    const { state } = this.#options
    this.#start(this.#partitions, partition.id, new StopScope(state.scope), (scope) =>
      this.#runPartition(partition, scope),
    )
  }

  /** A merge does not stop with the run: it ends when the partitions have, with what they recorded last. */
  #startMerge(task: string): void {
    this.#start(this.#merges, task, new StopScope(), (scope) => this.#runMerge(task, scope))
  }

  #start(
    tasks: Map<string, RunningTask>,
    id: string,
    scope: StopScope,
    run: (scope: StopScope) => Promise<void>,
  ): void {
    const { state } = this.#options
    const before = tasks.get(id)
    if (before !== undefined && !before.scope.isStopping) return
    if (state.isStopping) return
    const work = async (): Promise<void> => {
      // It was taken from us, and is given back before it has let go.
      await before?.done
      if (scope.isStopping) return
      try {
        await run(scope)
      } catch (error) {
        this.#fail(error)
      }
    }
    const done = work().finally(() => {
      scope.release()
      if (tasks.get(id)?.scope === scope && scope.isStopping) tasks.delete(id)
    })
    tasks.set(id, { scope, done })
  }

  async #runPartition(partition: SourcePartition, scope: StopScope): Promise<void> {
    const { topics, schemas, state, membership, known } = this.#options
    const bindings = this.#bindings
    const context = scoped(this.#options.context, scope)
    const isPresent = (task: string): boolean => known.has(task) || this.#all.some(({ id }) => id === task)
    const chain = new Chain(context, partition.id)
    const { plan, deadLetters } = context
    const tables = partitionTables(context)
    const sinks = { tables, outbox: deadLetters?.outbox ?? null }
    const feed = this.#feeds.after(-1)
    let place: string | null = null
    this.#news.claiming(partition.id)
    try {
      await ownTask({ context, chain, sinks, scope, state, membership }, async (ownership) => {
        const shapes = [...plan.bronze, ...plan.silver].map((table) => table.shape).concat(plan.deadLetters)
        this.#sweeper.add(
          partition.id,
          ownership,
          shapes.filter(({ path }) => tables.includes(path)),
        )
        feed?.join(partition.id, ownership.claim)
        this.#retention.own(partition.id, sinkNames(sinks.tables, sinks.outbox), ownership.claim)
        const published = (): void => this.#retention.published(partition.id)
        const options = {
          context,
          bindings,
          partition,
          topics,
          isPresent,
          ends: this.#ends,
          chain,
          ownership,
          schemas,
          feed,
          state,
          scope,
        }
        const driver = new PartitionDriver({ ...options, published })
        this.#news.tookOver(partition.id, this.#placeOf(partition, driver.task.position))
        try {
          await driver.run()
          if (driver.task.ended) membership?.ended?.(partition.id)
        } finally {
          place = this.#placeOf(partition, driver.task.position)
          this.#retention.release(partition.id)
          this.#count(partition.id, driver.committer.records, driver.task.totals)
          if (driver.task.ended) this.#ended.add(partition.id)
          for (const successor of driver.task.successors ?? []) this.#successors.add(successor)
        }
      })
    } finally {
      this.#news.ended(partition.id, place)
      feed?.leave(partition.id)
      this.#ends.over(partition.id, this.#ended.has(partition.id))
      if (!state.isStopping) state.left(partition.id)
    }
  }

  async #runMerge(task: string, scope: StopScope): Promise<void> {
    const { bindings, state, membership } = this.#options
    const context = scoped(this.#options.context, scope, state.scope)
    const chain = new Chain(context, task)
    const place = parseMergeTask(task)
    assert(place !== null, `${task} is no merge task`)
    const sinks = { tables: mergeTables(context, place.stage), outbox: mergeOutbox(context, place.stage) }
    const next = this.#feeds.after(place.stage)
    const options = {
      context,
      chain,
      place,
      sources: new MergeSources({
        plan: context.plan,
        place,
        partitions: () => this.#all,
        chained: async () => (hasRetired(bindings.source) ? partitionChains(context) : []),
      }),
      feed: this.#feeds.of(place),
      next,
      scope,
      everyMs: membership === null ? null : (bindings.flush.everyMs ?? 0),
      isLive: bindings.flush.everyMs !== null,
      snapshots: bindings.snapshots,
      published: () => this.#retention.published(task),
    }
    let where: string | null = null
    this.#news.claiming(task)
    const work = ownTask({ context, chain, sinks, scope, state, membership }, async (ownership) => {
      this.#sweeper.add(task, ownership, mergeShapes(context.plan, place.stage))
      next?.join(task, ownership.claim)
      const driver = new MergeDriver({ ...options, ownership })
      this.#retention.own(task, sinkNames(sinks.tables, sinks.outbox), ownership.claim)
      where = `epoch ${ownership.claim}`
      this.#news.tookOver(task, where)
      try {
        await driver.run()
      } finally {
        this.#retention.release(task)
        this.#count(task, driver.committer.records, driver.task.state.totals)
      }
    })
    await work.finally(() => {
      this.#news.ended(task, where)
      next?.leave(task)
    })
  }

  /** 'offset 1200' where the source counts so, else as the chain has it. */
  #placeOf(partition: SourcePartition, position: string | null): string {
    if (position === null) return 'new'
    const { source } = this.#bindings
    if (historyOffset(position) !== null) return position
    const offset = source.groupOffset?.(partition, position)?.offset ?? source.offsetOf?.(position) ?? null
    return offset === null ? position : `offset ${offset}`
  }

  #count(task: string, records: number, totals: Totals): void {
    this.#epochs += records
    this.#totals.set(task, totals)
  }

  /** The first failure is what the run ends with; the others would be seen by nobody. */
  #fail(error: unknown): void {
    const { state, context } = this.#options
    const first = state.failure
    state.fail(error)
    if (first === null || first.error === error || error instanceof OwnershipLost) return
    context.log.warn({ error: messageOf(error) }, 'another task failed too')
  }
}

/** What a task keeps trying in vain it gives up when the task is asked to stop. */
function scoped(context: TaskContext, ...scopes: readonly StopScope[]): TaskContext {
  const signals = scopes.map(({ signal }) => signal)
  const signal = signals.length === 1 ? signals[0]! : AbortSignal.any(signals)
  setMaxListeners(0, signal)
  return { ...context, retry: { ...context.retry, signal } }
}
