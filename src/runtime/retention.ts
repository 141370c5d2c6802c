import { mergeTasksOf, mergeTasksOfStage, parseMergeTask, parseStagedName } from '../checkpoint/keys.ts'
import type { DataRecord } from '../checkpoint/record.ts'
import {
  decideRetention,
  isSpent,
  oldestNeeded,
  retainedEpochs,
  type RetentionDecision,
  retentionCeiling,
  stagedKeysOf,
} from '../checkpoint/retention.ts'
import type { MergeState } from '../engine/merge-task.ts'
import { messageOf } from '../errors.ts'
import { Chain } from './chain.ts'
import { retrying } from './retry.ts'
import type { TaskContext } from './task-context.ts'

export interface RetentionLimits {
  /** Records that are kept for people to look at, below the oldest that is needed. */
  readonly keepRecords: number
  /** Fewer are not worth the requests: a chain has so many records more than it needs before the oldest are deleted. */
  readonly recordsMin: number
  /** In one round, so that a chain that has grown for months does not hold anything up. */
  readonly deletesMax: number
}

export const RETENTION: RetentionLimits = { keepRecords: 16, recordsMin: 64, deletesMax: 2_000 }

export interface RetentionReport {
  readonly records: number
  readonly staged: number
}

type RetentionContext = Pick<
  TaskContext,
  'plan' | 'store' | 'keys' | 'publishers' | 'log' | 'retry' | 'rules'
>

interface OwnedTask {
  readonly sinks: readonly string[]
  /** Published since its chain was looked at. */
  epochs: number
}

interface TaskPlan extends RetentionDecision {
  readonly task: string
  readonly sinks: readonly string[]
  readonly chain: Chain
}

/** The newest epoch of a task that every restore of the merge begins with; −1 for none. Null where nobody folds the task. */
type MergedEpochs = ((task: string) => number) | null

const DELETES_AT_ONCE = 8

/**
 * Deletes the records and staged files of this process's tasks that nothing needs any more, now and then and beside their work. What may go is
 * decided from facts that only ever grow, so it does no harm where the task has another owner by now. A failure is
 * no failure of the run: the same is tried again later.
 */
export class Retention {
  readonly #context: RetentionContext
  readonly #limits: RetentionLimits
  readonly #tasks = new Map<string, OwnedTask>()
  #running: Promise<void> | null = null

  constructor(context: RetentionContext, limits: Partial<RetentionLimits> = {}) {
    this.#context = context
    this.#limits = { ...RETENTION, ...limits }
  }

  /** A task that this process runs from now on. `sinks` are its tables, and OUTBOX where it has one; `claim` is the epoch of its claim. */
  own(task: string, sinks: readonly string[], claim: number): void {
    // Also runs that end after a few epochs get round to it: the chain may be as long as its head says.
    this.#tasks.set(task, { sinks, epochs: Math.min(claim, this.#limits.recordsMin) })
  }

  release(task: string): void {
    this.#tasks.delete(task)
  }

  /** An epoch of the task is in every sink. Returns at once: a round that this begins goes on by itself. */
  published(task: string): void {
    const owned = this.#tasks.get(task)
    if (owned === undefined) return
    owned.epochs++
    if (owned.epochs < this.#limits.recordsMin || this.#running !== null || this.#isStopping) return
    this.#running = this.#round().then(
      () => void (this.#running = null),
      () => void (this.#running = null),
    )
  }

  /** Resolves when no request of a round is on its way. */
  async settled(): Promise<void> {
    while (this.#running !== null) await this.#running
  }

  /** One round over all tasks of this process that may have something to delete. */
  async round(): Promise<RetentionReport> {
    await this.settled()
    for (const owned of this.#tasks.values()) owned.epochs = this.#limits.recordsMin
    return this.#round()
  }

  get #isStopping(): boolean {
    return this.#context.retry.signal?.aborted === true
  }

  async #round(): Promise<RetentionReport> {
    // Tasks that are nearly due go along, so that their markers are raised in the same commits.
    const due = [...this.#tasks].filter(([, { epochs }]) => epochs * 2 >= this.#limits.recordsMin)
    for (const [, owned] of due) owned.epochs = 0
    const report = { records: 0, staged: 0 }
    const { log } = this.#context
    try {
      const plans = await this.#plan(due)
      if (this.#context.rules.raiseBeforeDelete) await this.#raise(plans)
      for (const plan of plans) {
        await this.#delete(plan, report)
        const isCutShort = report.records + report.staged >= this.#limits.deletesMax
        const owned = this.#tasks.get(plan.task)
        if (isCutShort && owned !== undefined) owned.epochs = this.#limits.recordsMin
      }
      if (report.records > 0)
        log.info({ ...report }, 'deleted checkpoint records that nothing needs any more')
    } catch (error) {
      log.warn(
        { error: messageOf(error) },
        'could not delete old checkpoint records; it is tried again later',
      )
    }
    return report
  }

  async #plan(due: readonly (readonly [string, OwnedTask])[]): Promise<readonly TaskPlan[]> {
    const merged = new Map<number, MergedEpochs>()
    const plans: TaskPlan[] = []
    for (const [task, { sinks }] of due) {
      const chain = new Chain(this.#context, task)
      const readers = this.#stageOf(task) + 1
      const known = merged.get(readers) ?? (await this.#mergedEpochs(readers))
      merged.set(readers, known)
      // Listed after the merges: what they have folded is there.
      const epochs = await chain.list()
      const needed = await this.#oldestNeeded(chain, epochs, sinks, known?.(task) ?? null)
      const decision = decideRetention({ epochs, needed, ...this.#limits })
      if (decision !== null) plans.push({ ...decision, task, sinks, chain })
    }
    return plans
  }

  /** −1 for a partition task. */
  #stageOf(task: string): number {
    return mergeTasksOf(this.#context.plan).includes(task) ? parseMergeTask(task)!.stage : -1
  }

  /**
   * How far the merge tasks of a stage have come with each task that they read, in what a restore of them begins with: the slice that is
   * furthest behind counts. Null where there is no such stage.
   */
  async #mergedEpochs(stage: number): Promise<MergedEpochs> {
    const { plan, rules } = this.#context
    const tasks = mergeTasksOfStage(plan, stage)
    if (tasks.length === 0 || !rules.retainMergeSnapshot) return null
    const counted = rules.retainForEverySlice ? tasks : tasks.slice(0, 1)
    const slices = await Promise.all(counted.map((task) => this.#restoredSources(task)))
    return (task) => Math.min(...slices.map((sources) => sources[task]?.epoch ?? -1))
  }

  /** The sources of a merge task as its newest snapshot has them. */
  async #restoredSources(task: string): Promise<MergeState['sources']> {
    const chain = new Chain(this.#context, task)
    const last = await newestData(chain, await chain.list(), Infinity)
    if (last?.work.type !== 'merge') return {}
    const { snapshot } = last.work
    if (snapshot === null) return {}
    const base = snapshot.epoch === last.epoch ? last : await chain.readListed(snapshot.epoch)
    return base.kind === 'data' && base.work.type === 'merge' ? base.work.state.sources : {}
  }

  async #oldestNeeded(
    chain: Chain,
    epochs: readonly number[],
    sinks: readonly string[],
    merged: number | null,
  ): Promise<number> {
    const { rules } = this.#context
    const last = await newestData(chain, epochs, Infinity)
    if (last === null) return -1
    const ceiling = retentionCeiling(last, sinks, merged, rules)
    const base = ceiling >= last.epoch ? last : await newestData(chain, epochs, ceiling)
    return base === null ? -1 : oldestNeeded(base, rules)
  }

  /** One commit a table for all tasks, and none where every marker is there already. */
  async #raise(plans: readonly TaskPlan[]): Promise<void> {
    const { keys, publishers } = this.#context
    const raised = [...publishers].map(([path, publisher]) => {
      const marks = plans
        .filter(({ sinks }) => sinks.includes(path))
        .map(({ task, raiseTo }) => ({ appId: keys.appId(task), epoch: raiseTo }))
      return publisher.raise(marks)
    })
    const outcomes = await Promise.allSettled(raised)
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
  }

  async #delete(plan: TaskPlan, report: { records: number; staged: number }): Promise<void> {
    const { task, chain, below } = plan
    const { store, keys, retry, rules } = this.#context
    const named = rules.retainNamedState ? await namedFrom(chain, below) : new Set<string>()
    const isSpentUp = (): boolean =>
      this.#isStopping || report.records + report.staged >= this.#limits.deletesMax
    for (const epoch of plan.epochs) {
      if (isSpentUp()) return
      await this.#deleteKey(keys.record(task, epoch))
      report.records++
    }
    const prefix = keys.stagedPrefix(task)
    const objects = await retrying(retry, `list ${prefix}`, () => store.list(prefix))
    const spent = objects.filter(({ key }) => {
      const name = parseStagedName(key, prefix)
      return name !== null && isSpent(key, name, below, named)
    })
    for (let index = 0; index < spent.length && !isSpentUp(); index += DELETES_AT_ONCE) {
      const some = spent.slice(index, index + DELETES_AT_ONCE)
      const outcomes = await Promise.allSettled(some.map(({ key }) => this.#deleteKey(key)))
      for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
      report.staged += some.length
    }
  }

  #deleteKey(key: string): Promise<void> {
    const { store, retry } = this.#context
    return retrying(retry, `delete ${key}`, () => store.delete(key))
  }
}

/** The newest data record at or below `ceiling`; null where there is none. */
async function newestData(
  chain: Chain,
  epochs: readonly number[],
  ceiling: number,
): Promise<DataRecord | null> {
  for (const epoch of retainedEpochs(epochs)
    .filter((epoch) => epoch <= ceiling)
    .reverse()) {
    const record = await chain.readListed(epoch)
    if (record.kind === 'data') return record
  }
  return null
}

/**
 * The staged files that records from `below` on name, of those that are older. The first record with work names them all: each
 * later one has a part of its list, and what was staged since.
 */
async function namedFrom(chain: Chain, below: number): Promise<ReadonlySet<string>> {
  for (let epoch = below; ; epoch++) {
    const record = await chain.readListed(epoch)
    if (record.kind === 'data') return new Set(stagedKeysOf(record))
  }
}
