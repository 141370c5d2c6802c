import { partKey } from '../checkpoint/keys.ts'
import type { PartitionWork } from '../checkpoint/record.ts'
import { inheritanceOf, type KeyedOutput, PartitionTask } from '../engine/partition-task.ts'
import { schemaName, type WriterSchemas } from '../engine/writer-schemas.ts'
import { assert } from '../errors.ts'
import type { PartitionReader, ReadResult, RecordBatch, SourcePartition } from '../ports.ts'
import type { FlushLimits, RunBindings } from './bindings.ts'
import type { Chain } from './chain.ts'
import { EpochCommitter } from './epoch-committer.ts'
import { deadLetterMessages, partitionTables, tablesOnly } from './outputs.ts'
import { awaitParents, inheritKeys, type Parent } from './parents.ts'
import type { PartitionEnds } from './partition-ends.ts'
import { isRetryable, retrying } from './retry.ts'
import type { RunState } from './run-state.ts'
import { schemaOf } from './schema-memory.ts'
import type { Ownership } from './ownership.ts'
import { recordedPartition } from './source-chains.ts'
import { StopScope } from './stop-scope.ts'
import { encodeLines, encodeParts, readLines, stageLines } from './staged-lines.ts'
import { encodeTables, nameOf, type StagedObject, stageFiles, type TaskContext } from './task-context.ts'
import type { StageFeeds } from './task-feeds.ts'

/** A dedupe set is written whole after so many epochs; in between only what changed. */
const SNAPSHOT_EVERY_EPOCHS = 16
/** Of one object of it. */
const PART_BYTES = 16 * 1024 * 1024

export interface PartitionDriverOptions {
  readonly context: TaskContext
  readonly bindings: RunBindings
  readonly partition: SourcePartition
  readonly topics: readonly string[]
  /** Whether somebody reads a partition that this one follows, or will. */
  readonly isPresent: (task: string) => boolean
  readonly ends: PartitionEnds
  readonly chain: Chain
  readonly ownership: Ownership
  readonly schemas: WriterSchemas
  /** To the merge tasks; null where the pipeline has none. */
  readonly feed: StageFeeds | null
  readonly state: RunState
  /** Another process is to have the partition, or the run stops. */
  readonly scope: StopScope
  /** An epoch is in every sink. */
  readonly published: () => void
}

/** Runs one partition task: reads, adds, cuts; the committer does the rest. */
export class PartitionDriver {
  readonly #options: PartitionDriverOptions
  readonly #task: PartitionTask
  readonly #committer: EpochCommitter
  readonly #limits: FlushLimits
  #epoch: number
  #epochStartMs: number
  #dedupeKeys: readonly string[]
  #epochsSinceSnapshot: number
  #cuts: Promise<void> = Promise.resolve()
  /** Ends the reading, when asked for or when an epoch has failed on its way. */
  readonly #scope: StopScope
  #failure: { readonly error: unknown } | null = null

  constructor(options: PartitionDriverOptions) {
    const { context, partition, topics, ownership, schemas, chain, bindings } = options
    const work = workOf(ownership)
    this.#options = options
    this.#scope = new StopScope(options.scope)
    this.#limits = bindings.flush
    const origin = {
      topics,
      topicIndex: topics.indexOf(partition.topic),
      partition: partition.partition,
      pipeline: context.pipeline,
      incarnation: context.incarnation,
      task: partition.id,
    }
    this.#task = new PartitionTask(context.plan, origin, schemas, work?.state ?? null, partition.parents)
    this.#committer = new EpochCommitter(context, chain, ownership, partitionTables(context), {
      failed: (error) => this.#fail(error),
      published: (_epoch, offset) => {
        if (offset !== null) bindings.source.showPublished?.(offset)
        options.published()
      },
    })
    this.#epoch = context.rules.claimBeforeWork ? ownership.claim + 1 : (ownership.last?.epoch ?? -1) + 1
    this.#epochStartMs = context.clock.nowMs()
    this.#dedupeKeys = work?.dedupe ?? []
    this.#epochsSinceSnapshot = this.#dedupeKeys.filter(isFirstPart).length
    options.state.joined(partition.id, this.#task)
  }

  get committer(): EpochCommitter {
    return this.#committer
  }

  get task(): PartitionTask {
    return this.#task
  }

  /**
   * Reads to the end, to `stop`, or until it is asked to stop; then everything is recorded and published. Throws OwnershipLost and InDoubt
   * where the task has to be claimed anew.
   */
  async run(): Promise<void> {
    try {
      await this.#run()
      if (this.#failure !== null) throw this.#failure.error
    } finally {
      this.#options.state.alignment?.leave(this.#options.partition.id)
      this.#scope.release()
      // Also after a failure: epochs that are on their way arrive before the process may end.
      await this.#committer.settled()
    }
  }

  async #run(): Promise<void> {
    const { bindings, partition, ownership, context } = this.#options
    await this.#restoreDedupe()
    const state = workOf(ownership)?.state ?? null
    const position = state?.position ?? null
    this.#showTakenOver(position)
    if (state?.ended) return this.#closeBook()
    let parents: readonly Parent[] | null
    let reader: PartitionReader
    try {
      parents = position === null ? await this.#inherit() : []
      if (parents === null) return
      const parentPositions = parents.flatMap(({ work }) => work.state.position ?? [])
      reader = await retrying(context.retry, `open ${partition.id}`, () =>
        bindings.source.open(partition, position, parentPositions),
      )
    } catch (error) {
      if (this.#hasGivenUp(error)) return
      throw error
    }
    try {
      if (position === null && reader.start !== undefined) this.#task.begin(reader.start)
      // The parents hold the watermark of the merge until this is recorded.
      if (this.#task.position !== position || parents.length > 0) await this.#cut()
      await this.#read(reader)
      await this.#cuts
      await this.#committer.drain()
      if (this.#task.ended || context.deadLetters?.outbox.repeats === true) await this.#closeBook()
    } finally {
      await this.#committer.settled()
      await reader.close()
    }
  }

  /** What those knew that the partition follows, where it has not begun yet. They have ended then; null where a stop comes first. */
  async #inherit(): Promise<readonly Parent[] | null> {
    const { context, partition, isPresent, ends } = this.#options
    const { parents = [] } = partition
    const scope = this.#scope
    const ended = await awaitParents({ context, task: partition.id, parents, isPresent, ends, scope })
    if (ended === null) return null
    const inheritance = inheritanceOf(ended.map(({ work }) => work.state))
    if (inheritance === null) return ended
    const { inheritWatermark } = context.rules
    this.#task.inherit(inheritWatermark ? inheritance : { ...inheritance, watermarkMs: -Infinity })
    if (context.rules.inheritKeys) await inheritKeys(context, this.#task, ended)
    return ended
  }

  /** All up to here is published: the former owner may have had no time to say so. */
  #showTakenOver(position: string | null): void {
    const { source } = this.#options.bindings
    const offset = position === null ? null : source.groupOffset?.(this.#options.partition, position)
    if (offset != null) source.showPublished?.(offset)
  }

  /** The chain's last word: all messages are published. Without it every later start would have to ask the outbox. */
  async #closeBook(): Promise<void> {
    if (this.#committer.saysMessagesPublished || this.#failure !== null) return
    await this.#cut()
    await this.#cuts
    await this.#committer.drain()
  }

  /** An epoch cannot go its way: what follows it would not either. */
  #fail(error: unknown): void {
    this.#failure ??= { error }
    this.#scope.stop()
  }

  /** True where a stop has ended a call that was tried again and again: then the task stops, and has not failed. */
  #hasGivenUp(error: unknown): boolean {
    return this.#scope.isStopping && isRetryable(error)
  }

  async #read(reader: PartitionReader): Promise<void> {
    const { bindings, context, partition, state } = this.#options
    state.alignment?.observe(partition.id, this.#task.watermarkMs, true)
    for (;;) {
      await this.#waitForTheSlowest()
      if (this.#scope.isStopping) return this.#cutRest()
      let result: ReadResult | 'stopping'
      try {
        result = await this.#scope.orStop(
          retrying(context.retry, `read ${partition.id}`, () => reader.read(this.#limits.batchRecordsMax)),
        )
        if (result !== 'stopping' && result.kind === 'records') await this.#learnSchemas(result.batch)
      } catch (error) {
        // What came before is good. The others of a backlog come to the damage, or to their end, by themselves.
        await this.#cutRest()
        if (this.#hasGivenUp(error)) return
        if (bindings.source.isBacklog !== true) throw error
        state.failAtEnd(error)
        return
      }
      if (result === 'stopping' || result.kind === 'stop') return this.#cutRest()
      if (result.kind === 'end' || result.kind === 'handed-on') {
        if (result.kind === 'end') this.#task.end()
        else this.#task.handOn(result.to, result.position)
        return this.#cut()
      }
      if (result.kind === 'quiet') {
        state.observeArrival(result.arrivalClockMs)
        const hasMoved = result.position !== undefined && this.#task.moveTo(result.position)
        const mayIdle = bindings.source.isBacklog !== true
        const isIdleNow = mayIdle && this.#task.observeQuiet(result.arrivalClockMs, state.firstArrivalMs)
        if (hasMoved || isIdleNow) await this.#cut()
      } else await this.#add(result.batch)
      state.alignment?.observe(partition.id, this.#task.watermarkMs, result.kind === 'records')
      if (this.#isOld()) await this.#cut()
    }
  }

  /** Where the program says how far partitions may be from each other. Meanwhile the open epoch is cut when it is old. */
  async #waitForTheSlowest(): Promise<void> {
    const { partition, state, context } = this.#options
    const { alignment } = state
    if (alignment === null) return
    const { everyMs } = this.#limits
    while (alignment.isAhead(partition.id) && !this.#scope.isStopping) {
      const changed = alignment.changed()
      if (everyMs === null || this.#task.records === 0) await this.#scope.orStop(changed)
      else {
        const over = new AbortController()
        const dueMs = Math.max(this.#epochStartMs + everyMs - context.clock.nowMs(), 0)
        await this.#scope.orStop(Promise.race([changed, context.clock.sleep(dueMs, over.signal)]))
        over.abort()
        if (this.#isOld()) await this.#cut()
      }
    }
  }

  async #add(batch: RecordBatch): Promise<void> {
    const { state, partition } = this.#options
    let next = 0
    while (next < batch.count) {
      const from = next
      next = this.#task.add(batch, from, this.#limits)
      state.added(partition.id, next - from, this.#task)
      if (this.#task.isFull(this.#limits) || state.isCrowded(partition.id, this.#limits)) await this.#cut()
    }
    if (batch.count === 0) return
    state.observeArrival(batch.arrivalsMs[0]!)
    state.observeArrival(batch.arrivalsMs[batch.count - 1]!)
  }

  async #learnSchemas(batch: RecordBatch): Promise<void> {
    const { schemas, bindings, context } = this.#options
    for (const id of schemas.missingIn(batch)) {
      const what = `${schemaName(id)} from ${bindings.registry.description}`
      const json = await retrying(context.retry, what, () => schemaOf(bindings.registry, id))
      schemas.learn(id, json)
    }
  }

  #isOld(): boolean {
    const { everyMs } = this.#limits
    if (everyMs === null || this.#task.records === 0) return false
    return this.#options.context.clock.nowMs() - this.#epochStartMs >= everyMs
  }

  async #cutRest(): Promise<void> {
    if (this.#task.records > 0 && this.#failure === null) await this.#cut()
  }

  /** Closes the epoch and sets it on its way; the next may start when the one before this is recorded. */
  async #cut(): Promise<void> {
    const { context, bindings, partition, ownership, feed, state } = this.#options
    const previous = this.#cuts
    const cutMs = context.clock.nowMs()
    const epoch = this.#epoch++
    const name = { epoch, claim: ownership.claim, nonce: ownership.nonce }
    const output = this.#task.cut(cutMs)
    const tables = encodeTables(context, partition.id, name, tablesOnly(context, output.tables), cutMs)
    const isSnapshot = this.#epochsSinceSnapshot % SNAPSHOT_EVERY_EPOCHS === 0
    const keyed = this.#task.cutKeyed(isSnapshot ? 'snapshot' : 'changes')
    const dedupe = stagedParts(context.keys.staged(partition.id, nameOf(context, name), 'dedupe'), keyed)
    const partials = output.partials.length === 0 ? null : encodeLines(output.partials)
    const keys = dedupe.map(({ key }) => key)
    this.#dedupeKeys = isSnapshot ? keys : [...this.#dedupeKeys, ...keys]
    const dedupeKeys = this.#dedupeKeys
    const outbox = deadLetterMessages(context, partition.id, name, output.tables, cutMs)
    const { position } = output.state
    const groupOffset =
      position === null ? null : (bindings.source.groupOffset?.(partition, position) ?? null)
    this.#task.clear()
    state.cut(partition.id, this.#task)
    this.#epochsSinceSnapshot++
    this.#epochStartMs = cutMs
    const committed = this.#committer.commit({
      epoch,
      cutMs,
      tables,
      outbox,
      groupOffset,
      stage: async () => {
        const [partialsKey] = await Promise.all([
          partials === null ? null : stageLines(context, partition.id, name, 'partials', partials),
          stageFiles(context, [], dedupe),
        ])
        const { state, records } = output
        return { type: 'partition', state, records, dedupe: dedupeKeys, partials: partialsKey }
      },
      recorded: () => {
        feed?.offer(recordedPartition(partition.id, epoch, output.state), output.partials)
      },
    })
    committed.catch((error: unknown) => this.#fail(error))
    this.#cuts = committed
    // At most two epochs are open: this one and the one that fills up next.
    await previous
    // A merge that cannot keep up holds the input back. It never waits for the partitions in turn.
    if (feed !== null) await this.#scope.orStop(feed.room())
  }

  async #restoreDedupe(): Promise<void> {
    const { context } = this.#options
    for (const key of this.#dedupeKeys) {
      for (const line of await readLines(context, key)) this.#task.restoreKeyed(line as KeyedOutput)
    }
  }
}

/** What steps remember by key, now: the task goes on while it is stored. None where it is nothing. */
function stagedParts(key: string, lines: Iterable<unknown>): readonly StagedObject[] {
  return [...encodeParts(lines, PART_BYTES)]
    .filter(({ length }) => length > 0)
    .map((body, part) => ({ key: partKey(key, part), body }))
}

function isFirstPart(key: string): boolean {
  return key.endsWith('-dedupe.json')
}

function workOf(ownership: Ownership): PartitionWork | null {
  const work = ownership.last?.work
  if (work === undefined) return null
  assert(work.type === 'partition', 'the chain of a partition belongs to another kind of task')
  return work
}
