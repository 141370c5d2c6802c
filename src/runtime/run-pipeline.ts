import { ChainKeys, mergeTaskName, mergeTasksOf } from '../checkpoint/keys.ts'
import { type AvroType, parseAvroSchema } from '../avro/schema-model.ts'
import { compilePlan, type Plan, tableShapesOf } from '../engine/plan.ts'
import { sumTotals, type Totals } from '../engine/totals.ts'
import { WriterSchemas } from '../engine/writer-schemas.ts'
import { assert, PipelineError } from '../errors.ts'
import type { Membership, Outbox, Source, SourcePartition, TableShape, TopicShape } from '../ports.ts'
import { fingerprintOf } from '../topology/fingerprint.ts'
import type { PipelineSpec } from '../topology/node.ts'
import { Backfill, type ContextBase } from './backfill.ts'
import type { RunBindings, RunSummary, TableSummary } from './bindings.ts'
import { Chain } from './chain.ts'
import { hasRetired, knownPartitions } from './chain-folders.ts'
import { totalsIfFinished } from './finished.ts'
import { GroupRun } from './group-run.ts'
import type { IncarnationHistory } from './history.ts'
import { HistorySource } from './history-source.ts'
import { inflate } from './inflate.ts'
import { resolveIncarnation } from './incarnation.ts'
import { openPublishers } from './open-publishers.ts'
import { OwnershipLost } from './ownership.ts'
import { probeStore } from './probe.ts'
import { isRetryable, type Retry, retrying, Warnings } from './retry.ts'
import { ALL_RULES, type ProtocolRules } from './rules.ts'
import { RunState } from './run-state.ts'
import type { TaskContext } from './task-context.ts'
import { TaskSet } from './task-set.ts'

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

/** A goodbye to the group is a courtesy. */
const GOODBYE_MS = 3_000

class PipelineRun {
  readonly #spec: PipelineSpec
  readonly #bindings: RunBindings
  readonly #rules: ProtocolRules
  readonly #runId: string
  readonly #retry: Retry
  readonly #state: RunState
  readonly #startMs: number
  #hasBegun = false
  #context: TaskContext | null = null
  #history: IncarnationHistory | null = null

  constructor(spec: PipelineSpec, bindings: RunBindings, rules: ProtocolRules) {
    const { clock, entropy, log, onProgress } = bindings
    this.#spec = spec
    this.#bindings = bindings
    this.#rules = rules
    this.#runId = entropy.nonce()
    this.#state = new RunState(onProgress, spec.source.watermark?.alignWithinMs ?? null)
    this.#retry = {
      clock,
      entropy,
      log: log.child({ run: this.#runId }),
      signal: this.#state.scope.signal,
      warnings: new Warnings(),
    }
    this.#startMs = clock.nowMs()
  }

  async run(): Promise<RunSummary> {
    const over = new AbortController()
    const { signal } = this.#bindings
    const stop = (): void => this.#state.stop()
    signal?.addEventListener('abort', stop)
    if (signal?.aborted) stop()
    try {
      return await Promise.race([this.#run(), this.#overdue(over.signal)])
    } finally {
      over.abort()
      signal?.removeEventListener('abort', stop)
      await this.#close()
    }
  }

  /** Rejects when a stop has taken too long: what waits for a store that does not answer is left to the next start. */
  async #overdue(over: AbortSignal): Promise<never> {
    const { stopWithinMs = null, clock } = this.#bindings
    const never = new Promise<never>(() => {})
    if (stopWithinMs === null) return never
    const { signal } = this.#state.scope
    if (!signal.aborted) {
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
    }
    await clock.sleep(stopWithinMs, over)
    if (over.aborted) return never
    // Others are not to wait for the end of a session that nobody keeps.
    const { membership } = this.#bindings.source
    if (membership !== undefined) await Promise.race([membership.leave(), clock.sleep(GOODBYE_MS, over)])
    const overdue = new PipelineError(
      'STOP_OVERDUE',
      `not everything was published ${stopWithinMs / 1000} s after the stop`,
      {
        advice:
          'Nothing is lost: whoever runs these tasks next goes on from the last checkpoint. See the log for what did not answer.',
      },
    )
    const { failure } = this.#state
    if (failure === null) throw overdue
    // What the run was stopped for is what has to be mended.
    this.#retry.log.warn(
      { error: overdue.message },
      'the run has failed, and does not wait for its other tasks',
    )
    throw failure.error
  }

  async #close(): Promise<void> {
    const { source, outbox, deadLetters } = this.#bindings
    await source.close()
    await outbox?.close()
    if (deadLetters?.outbox !== outbox) await deadLetters?.outbox.close()
  }

  async #run(): Promise<RunSummary> {
    const { source } = this.#bindings
    const partitions = await this.#reachWorld()
    if (partitions === null) return this.#summary('stopped', sumTotals([]), 0)
    try {
      return source.membership === undefined
        ? await this.#runAll(partitions)
        : await this.#runShare(source.membership, partitions)
    } catch (error) {
      if (!(error instanceof OwnershipLost)) throw error
      this.#retry.log.warn({ error: error.message }, 'another process has taken over')
      return this.#summary('lost', sumTotals([]), 0)
    }
  }

  /** The partitions of the source. Null where a stop was asked for while somebody was away: nothing has begun, and nothing has failed. */
  async #reachWorld(): Promise<readonly SourcePartition[] | null> {
    const { source, lake } = this.#bindings
    try {
      const partitions = await retrying(this.#retry, `list the partitions of ${source.description}`, () =>
        source.partitions(),
      )
      await probeStore(lake, this.#retry)
      return partitions
    } catch (error) {
      if (this.#state.isStopping && isRetryable(error)) return null
      throw error
    }
  }

  /** All partitions, to their end or to a stop. */
  async #runAll(partitions: readonly SourcePartition[]): Promise<RunSummary> {
    const context = await this.#openContext(partitions)
    const all = [...partitions, ...this.#unlisted(await this.#knownOf(context), partitions)]
    const chains = new Map(all.map(({ id }) => [id, new Chain(context, id)]))
    const finished = await totalsIfFinished(context, chains)
    if (finished !== null) return this.#summary('nothing-to-do', finished, 0)
    const tasks = this.#taskSet(context, all, null)
    tasks.assign({ partitions: all, mergeTasks: mergeTasksOf(context.plan), all })
    await tasks.settled()
    if (this.#state.failure !== null) throw this.#state.failure.error
    await this.#switchTables(context)
    return this.#summary(tasks.isEnded ? 'completed' : 'stopped', tasks.totals, tasks.epochs)
  }

  /** What the group assigns to this process, until a stop. When the source has a topic that is new, all begin again with it. */
  async #runShare(membership: Membership, partitions: readonly SourcePartition[]): Promise<RunSummary> {
    const group = new GroupRun(membership, this.#state)
    try {
      for (let all = partitions; ; all = group.all) {
        const context = await this.#openContext(all)
        const known = await this.#knownOf(context)
        const tasks = this.#taskSet(context, [...all, ...this.#unlisted(known, all)], membership)
        const place = { store: context.store, prefix: context.keys.leasePrefix, known }
        await group.run(tasks, topicsOf(all), place)
        const { failure } = this.#state
        if (failure !== null) throw failure.error
        if (this.#state.isStopping) {
          await this.#switchTables(context)
          return await this.#summary(tasks.isEnded ? 'completed' : 'stopped', tasks.totals, tasks.epochs)
        }
      }
    } finally {
      await membership.leave()
    }
  }

  /** Partitions with a chain, or with a history to be read, and those that they were handed on to. */
  async #knownOf(context: TaskContext): Promise<readonly string[]> {
    const chained = hasRetired(this.#bindings.source) ? await knownPartitions(context) : []
    const { positions = {}, successors = [] } = this.#history ?? {}
    return [...new Set([...chained, ...Object.keys(positions), ...successors])]
  }

  /** Of those that are known, what the source does not list and can open all the same. */
  #unlisted(known: readonly string[], listed: readonly SourcePartition[]): readonly SourcePartition[] {
    const { source } = this.#bindings
    const ids = new Set(listed.map(({ id }) => id))
    return known.filter((id) => !ids.has(id)).flatMap((id) => source.partitionOf?.(id) ?? [])
  }

  #taskSet(
    context: TaskContext,
    partitions: readonly SourcePartition[],
    membership: Membership | null,
  ): TaskSet {
    const schema = parseAvroSchema(this.#spec.source.schema.avro)
    return new TaskSet({
      context,
      bindings: { ...this.#bindings, source: this.#sourceOf(context, schema) },
      topics: topicsOf(partitions),
      schemas: new WriterSchemas(schema, {
        inflate,
        knowsVersions: this.#bindings.registry.schemaByUuid !== undefined,
      }),
      state: this.#state,
      membership,
      known: new Set(partitions.map(({ id }) => id)),
    })
  }

  /** With the history of the incarnation before it, where it has one. */
  #sourceOf({ plan, pipeline, store }: TaskContext, schema: AvroType): Source {
    const { source, format } = this.#bindings
    const history = this.#history
    if (history === null) return source
    const { decoder } = format
    assert(decoder !== undefined, 'who begins with history can read it')
    return new HistorySource({ source, history, store, decoder, pipeline, schema, fields: plan.sourceFields })
  }

  async #openContext(partitions: readonly SourcePartition[]): Promise<TaskContext> {
    const { lake, format, clock, entropy, fresh, backfill = false, source } = this.#bindings
    const { owner = this.#runId } = this.#bindings
    const plan = compilePlan(this.#spec, topicsOf(partitions))
    refuseTaskName(plan, partitions)
    const outboxes = await this.#openOutboxes(plan, topicsOf(partitions))
    const base: ContextBase = {
      plan,
      pipeline: this.#spec.name,
      run: this.#runId,
      owner,
      ...outboxes,
      store: lake,
      encoder: format.encoder,
      markerElsewhere: (path, appId) => this.#markerElsewhere(path, appId),
      clock,
      entropy,
      log: this.#retry.log,
      retry: this.#retry,
      rules: this.#rules,
    }
    const tasks = partitions.map(({ id }) => id)
    const isReadable = (task: string): boolean => tasks.includes(task) || source.partitionOf?.(task) != null
    const { record, program } = await resolveIncarnation({
      store: lake,
      pipeline: this.#spec.name,
      fingerprint: fingerprintOf(this.#spec),
      source: source.identity ?? null,
      tasks,
      merges: plan,
      // Only once: what this run has begun it goes on with.
      fresh: fresh && !this.#hasBegun,
      backfill: backfill && !this.#hasBegun ? new Backfill({ base, format, isReadable }) : null,
      allowRemoved: this.#bindings.allowRemoved === true,
      run: this.#runId,
      retry: this.#retry,
      rules: this.#rules,
    })
    this.#hasBegun = true
    const { incarnation } = record
    const keys = new ChainKeys(this.#spec.name, incarnation)
    const log = this.#retry.log.child({ pipeline: this.#spec.name, incarnation })
    const retry = { ...this.#retry, log }
    const { deadLetters } = plan
    const place = { format, retry, rules: this.#rules, run: this.#runId, deadLetters }
    // Dead letters may have gone to the table before they went to a topic.
    const isFormer = (shape: TableShape): boolean => shape === deadLetters && outboxes.deadLetters !== null
    const shapes = tableShapesOf(plan)
    const context: TaskContext = {
      ...base,
      incarnation,
      program,
      life: record.nonce,
      keys,
      publishers: await openPublishers(
        place,
        record,
        shapes.filter((shape) => !isFormer(shape)),
      ),
      formerPublishers: await openPublishers(place, record, shapes.filter(isFormer)),
      log,
      retry,
    }
    this.#history = record.history ?? null
    this.#context = context
    return context
  }

  async #markerElsewhere(path: string, appId: string): Promise<number> {
    // Only its log is read, for which its columns do not matter.
    const options = { compression: 'none', rowGroupRows: 1, fileRowsMax: 1, dictionary: [] } as const
    const fields = [{ name: 'any', type: { kind: 'boolean' }, nullable: true }] as const
    const log = this.#bindings.format.open({ path, fields, partitionBy: [], options })
    const { txn } = await retrying(this.#retry, `read the log of ${path}`, () => log.refresh())
    return txn.get(appId) ?? -1
  }

  /** Before anything is recorded: what would make a publication fail for good is found here. */
  async #openOutboxes(
    plan: Plan,
    sourceTopics: readonly string[],
  ): Promise<Pick<TaskContext, 'deadLetters' | 'topics'>> {
    const { outbox = null, deadLetters = null } = this.#bindings
    const open = async (target: Outbox, topics: readonly string[], shapes: readonly TopicShape[]) => {
      const what = `open ${topics.join(', ')} at ${target.description}`
      const encoders = await retrying(this.#retry, what, () => target.open(topics, shapes))
      await this.#refuseLoop(target, topics, sourceTopics)
      return encoders
    }
    if (deadLetters !== null) await open(deadLetters.outbox, [deadLetters.topic], [])
    if (outbox === null || plan.topics.length === 0) return { deadLetters, topics: null }
    const shapes = plan.topics.map(({ shape }) => shape)
    const encoders = await open(
      outbox,
      shapes.map(({ topic }) => topic),
      shapes,
    )
    return { deadLetters, topics: { outbox, encoders } }
  }

  /** What a pipeline writes to a topic that it reads would come back to it, again and again. */
  async #refuseLoop(
    target: Outbox,
    topics: readonly string[],
    sourceTopics: readonly string[],
  ): Promise<void> {
    const [topic] = topics.filter((name) => sourceTopics.includes(name))
    const { clusterId: read = null } = this.#bindings.source
    if (topic === undefined || read === null || target.clusterId === undefined) return
    const written = await retrying(this.#retry, `cluster of ${target.description}`, () => target.clusterId!())
    if (written !== read) return
    throw new PipelineError(
      'TOPIC_LOOP',
      `pipeline ${this.#spec.name} would read topic ${topic}, which it writes to`,
      {
        advice: 'Write to another topic, or choose what is read by a narrower pattern or by names.',
      },
    )
  }

  /** A table that got no row in this incarnation exists all the same, and has none of its predecessor's. */
  async #switchTables(context: TaskContext): Promise<void> {
    const nothing = { appId: context.keys.appId('none'), epoch: -1, files: [] }
    await Promise.all([...context.publishers.values()].map((publisher) => publisher.publish(nothing)))
  }

  async #summary(outcome: RunSummary['outcome'], totals: Totals, epochs: number): Promise<RunSummary> {
    const tables: TableSummary[] = []
    for (const publisher of this.#context?.publishers.values() ?? []) tables.push(await publisher.summary())
    return {
      outcome,
      runId: this.#runId,
      incarnation: this.#context?.incarnation ?? 0,
      records: this.#state.records,
      epochs,
      durationMs: this.#bindings.clock.nowMs() - this.#startMs,
      totals,
      tables,
    }
  }
}

function topicsOf(partitions: readonly SourcePartition[]): readonly string[] {
  return [...new Set(partitions.map((partition) => partition.topic))]
}

/** The chains of the merge lie beside those of the partitions. */
function refuseTaskName(plan: Plan, partitions: readonly SourcePartition[]): void {
  // The first of them also where there is none yet: the program may get windows.
  const merges = new Set([...mergeTasksOf(plan), mergeTaskName({ stage: 0, slice: 0 })])
  const taken = partitions.find(({ id }) => merges.has(id))
  if (taken === undefined) return
  throw new PipelineError(
    'TASK_NAME_TAKEN',
    `topic ${taken.topic} has a partition ${taken.id}, which is the name of a merge task`,
    {
      advice: 'Record the topic under another name.',
    },
  )
}
