import type { FoldedEpochs, MergeWork, SnapshotRef } from '../checkpoint/record.ts'
import { retainedEpochs } from '../checkpoint/retention.ts'
import { type MergeSnapshot, MergeTask, type SourceEpoch } from '../engine/merge-task.ts'
import type { PartialsJson } from '../engine/partial.ts'
import { assert, PipelineError } from '../errors.ts'
import { Chain } from './chain.ts'
import { EpochCommitter } from './epoch-committer.ts'
import type { FeedItem, MergeFeed } from './merge-feed.ts'
import { mergeTables, resultMessages } from './outputs.ts'
import { encodeLines, readLines, stageLines } from './staged-lines.ts'
import type { StopScope } from './stop-scope.ts'
import type { Ownership } from './ownership.ts'
import { encodeTables, type TaskContext } from './task-context.ts'

/** The panes are written whole after so many epochs of the merge … */
const SNAPSHOT_EVERY_EPOCHS = 16
/** … and always when they are this few. */
const SMALL_SNAPSHOT_PANES = 256
/** Chains of other processes are looked at so many times in the life of an epoch. */
const LOOKS_AN_EPOCH = 6
const LOOK_EVERY_MS_MIN = 100
/** Chains that are asked at once. */
const READS_MAX = 32

export interface MergeDriverOptions {
  readonly context: TaskContext
  readonly chain: Chain
  readonly ownership: Ownership
  /** The partition tasks that the source has now: more may come. */
  readonly sources: () => readonly string[]
  readonly feed: MergeFeed
  /** Another process is to have the merge. (When the run stops, the feed is closed, and the merge ends by itself.) */
  readonly scope: StopScope
  /** How long an epoch may be; null in a replay, where all partition tasks are in this process. */
  readonly everyMs: number | null
  /** An epoch is in every sink. */
  readonly published: () => void
}

/** A record of a partition task's chain, as the merge sees it. */
type ChainItem =
  | { readonly kind: 'epoch'; readonly source: SourceEpoch }
  | { readonly kind: 'claim'; readonly task: string; readonly epoch: number }

/**
 * Runs the merge task: folds recorded epochs, fires panes, records which epochs it folded and in which order. Epochs of this process come
 * through the feed, those of others out of the store.
 */
export class MergeDriver {
  readonly #options: MergeDriverOptions
  readonly #committer: EpochCommitter
  readonly #chains = new Map<string, Chain>()
  /** Sources whose chain has been read on from what was restored: what they recorded before the feed listened is known. */
  readonly #met = new Set<string>()
  #task: MergeTask
  #epoch: number
  #folded: FoldedEpochs[] = []
  #foldedCount = 0
  #foldingSinceMs = 0
  #lookedMs = -Infinity
  #snapshot: SnapshotRef | null = null
  #failure: { readonly error: unknown } | null = null

  constructor(options: MergeDriverOptions) {
    const { context, chain, ownership } = options
    this.#options = options
    this.#committer = new EpochCommitter(context, chain, ownership, mergeTables(context), {
      failed: (error) => this.#fail(error),
      published: options.published,
    })
    this.#task = this.#createTask(null)
    this.#epoch = context.rules.claimBeforeWork ? ownership.claim + 1 : (ownership.last?.epoch ?? -1) + 1
  }

  get committer(): EpochCommitter {
    return this.#committer
  }

  get task(): MergeTask {
    return this.#task
  }

  /** Until the feed is closed, or another process is to have the merge; what is folded by then is recorded and published. */
  async run(): Promise<void> {
    const { feed } = this.#options
    feed.listen()
    try {
      await this.#run()
      if (this.#failure !== null) throw this.#failure.error
    } finally {
      feed.unlisten()
      // Also after a failure: what is on its way arrives before the process may end.
      await this.#committer.settled()
    }
  }

  async #run(): Promise<void> {
    const { feed, scope, everyMs, context } = this.#options
    const lookEveryMs = everyMs === null ? null : Math.max(LOOK_EVERY_MS_MIN, everyMs / LOOKS_AN_EPOCH)
    await this.#restore()
    this.#warnOfGone()
    const wake = (): void => feed.wake()
    scope.signal.addEventListener('abort', wake)
    while (!scope.isStopping && this.#failure === null) {
      await this.#meetSources()
      const isTimeToLook = lookEveryMs !== null && context.clock.nowMs() - this.#lookedMs >= lookEveryMs
      if (isTimeToLook) await this.#lookAtOthers()
      const items = await feed.take(lookEveryMs)
      for (const item of items) await this.#take(item)
      if (this.#isTimeToCut()) await this.#cut()
      if (feed.isClosed) break
    }
    scope.signal.removeEventListener('abort', wake)
    if (this.#foldedCount > 0 && this.#failure === null) await this.#cut()
    await this.#committer.drain()
    // The chain's last word, as in a partition's: all messages are published.
    if (!this.#task.isEnded || this.#committer.saysMessagesPublished || this.#failure !== null) return
    await this.#cut()
    await this.#committer.drain()
  }

  #fail(error: unknown): void {
    this.#failure ??= { error }
    this.#options.feed.wake()
  }

  /** A topic that was deleted, or is no longer among those that are read: nobody moves its watermark any more. */
  #warnOfGone(): void {
    const { sources, context } = this.#options
    const present = new Set(sources())
    const gone = Object.entries(this.#task.state.sources)
      .filter(([task, { ended, idle }]) => !ended && !idle && !present.has(task))
      .map(([task]) => task)
    if (gone.length === 0) return
    context.log.warn(
      { tasks: gone },
      'the source no longer has these partitions: they hold the watermark, and windows stay open until they are back or the pipeline begins again with --fresh',
    )
  }

  /** W is the slowest partition's, so a cut waits for as many epochs as there are partitions that may still move it, but not for long. */
  #isTimeToCut(): boolean {
    if (this.#foldedCount === 0) return false
    if (this.#foldedCount >= this.#task.busySources) return true
    const { everyMs, context } = this.#options
    return everyMs !== null && context.clock.nowMs() - this.#foldingSinceMs >= everyMs
  }

  /** With the sources of that epoch: what was fired without those that have come since is not to be fired again. */
  #createTask(work: MergeWork | null): MergeTask {
    const { plan, rules } = this.#options.context
    return new MergeTask(plan, [], work?.state ?? null, rules)
  }

  /** The newest snapshot, and the partials folded since, in the recorded order: their rows are already in the tables. */
  async #restore(): Promise<void> {
    const { chain, ownership } = this.#options
    const last = ownership.last
    if (last === null) return
    const work = mergeWorkOf(last.work)
    this.#snapshot = work.snapshot
    let next = 0
    if (work.snapshot !== null) {
      const base = await chain.readListed(work.snapshot.epoch)
      assert(base.kind === 'data', 'a snapshot belongs to an epoch with work')
      this.#task = this.#createTask(mergeWorkOf(base.work))
      const lines = await readLines(this.#options.context, work.snapshot.key)
      for (const line of lines) this.#task.restore(line as MergeSnapshot)
      next = work.snapshot.epoch + 1
    }
    for (let epoch = next; epoch <= last.epoch; epoch++) {
      const record = await chain.readListed(epoch)
      if (record.kind !== 'data') continue
      const again = mergeWorkOf(record.work)
      this.#task.expect(Object.keys(again.state.sources))
      for (const folded of again.folded) await this.#foldAgain(folded)
      this.#task.cut()
      this.#task.clear()
    }
    for (const [task, progress] of Object.entries(work.state.sources)) {
      assert(
        this.#task.progressOf(task)?.epoch === progress.epoch,
        'the merge was restored to another state than was recorded',
      )
    }
  }

  async #foldAgain(folded: FoldedEpochs): Promise<void> {
    for (let epoch = folded.first; epoch <= folded.last; epoch++) {
      const item = await this.#read(folded.task, epoch)
      if (item === null) throw gap(folded.task, epoch - 1, epoch)
      this.#fold(item)
    }
    this.#folded = []
    this.#foldedCount = 0
  }

  /** What the partition tasks recorded before this process ran the merge, and those that the source has got since. */
  async #meetSources(): Promise<void> {
    const tasks = this.#options.sources()
    // All of them, before the first is read: a long chain is cut in between, and each source holds W.
    this.#task.expect(tasks)
    for (const task of tasks) {
      if (this.#met.has(task)) continue
      this.#met.add(task)
      const [first] = retainedEpochs(await this.#chainOf(task).list())
      const known = this.#task.progressOf(task)!.epoch
      if (first !== undefined && first > known + 1) throw gap(task, known, first)
      await this.#readOn(task)
    }
  }

  /** Epochs that other processes have recorded. */
  async #lookAtOthers(): Promise<void> {
    const { sources, feed, context } = this.#options
    this.#lookedMs = context.clock.nowMs()
    const others = sources().filter((task) => !feed.isLocal(task))
    for (let from = 0; from < others.length; from += READS_MAX) {
      const some = others.slice(from, from + READS_MAX)
      // Read ahead of the folding, which is in the order of the sources.
      const next = await Promise.all(some.map((task) => this.#read(task, this.#knownOf(task) + 1)))
      for (const [index, item] of next.entries()) {
        if (item === null) continue
        this.#fold(item)
        await this.#readOn(some[index]!)
      }
    }
  }

  async #take(item: FeedItem): Promise<void> {
    const [task, epoch] =
      item.kind === 'reached' ? [item.task, item.epoch] : [item.source.task, item.source.epoch]
    if (epoch <= this.#knownOf(task)) return
    const before = item.kind === 'reached' ? epoch : epoch - 1
    await this.#readOn(task, before)
    if (this.#knownOf(task) < before) throw gap(task, this.#knownOf(task), epoch)
    if (item.kind === 'epoch' && epoch > this.#knownOf(task))
      this.#fold({ kind: 'epoch', source: item.source })
  }

  /** Folds what a chain has next, up to an epoch or to its end, and cuts in between so that a long backlog is no long epoch. */
  async #readOn(task: string, upTo = Infinity): Promise<void> {
    while (this.#knownOf(task) < upTo) {
      const item = await this.#read(task, this.#knownOf(task) + 1)
      if (item === null) return
      this.#fold(item)
      if (this.#foldedCount >= this.#options.sources().length * SNAPSHOT_EVERY_EPOCHS) await this.#cut()
    }
  }

  #knownOf(task: string): number {
    return this.#task.progressOf(task)?.epoch ?? -1
  }

  #chainOf(task: string): Chain {
    const known = this.#chains.get(task)
    if (known !== undefined) return known
    const chain = new Chain(this.#options.context, task)
    this.#chains.set(task, chain)
    return chain
  }

  /** A record with its partials; null where the chain has none of that number yet. */
  async #read(task: string, epoch: number): Promise<ChainItem | null> {
    const record = await this.#chainOf(task).read(epoch)
    if (record === null) return null
    if (record.kind !== 'data') return { kind: 'claim', task, epoch }
    assert(record.work.type === 'partition', `${task} is no partition task`)
    const { state, partials } = record.work
    const { watermarkMs, idle, ended } = state
    let json: PartialsJson | null = null
    if (partials !== null)
      for (const line of await readLines(this.#options.context, partials)) json = line as PartialsJson
    return { kind: 'epoch', source: { task, epoch, watermarkMs, idle, ended, partials: json } }
  }

  #fold(item: ChainItem): void {
    const { rules, clock } = this.#options.context
    const [task, epoch] =
      item.kind === 'claim' ? [item.task, item.epoch] : [item.source.task, item.source.epoch]
    assert(epoch === this.#knownOf(task) + 1, 'the merge folds a chain in its order')
    if (item.kind === 'epoch') this.#task.fold(item.source)
    else if (rules.claimsMoveNoWatermark) this.#task.skip(task, epoch)
    else this.#task.fold({ task, epoch, watermarkMs: Infinity, idle: false, ended: false, partials: null })
    const previous = this.#folded.at(-1)
    if (previous?.task === task) this.#folded[this.#folded.length - 1] = { ...previous, last: epoch }
    else this.#folded.push({ task, first: epoch, last: epoch })
    if (this.#foldedCount++ === 0) this.#foldingSinceMs = clock.nowMs()
  }

  async #cut(): Promise<void> {
    const { context, chain, ownership } = this.#options
    const cutMs = context.clock.nowMs()
    const epoch = this.#epoch++
    const name = { epoch, claim: ownership.claim, nonce: ownership.nonce }
    const rows = this.#task.cut()
    const tables = encodeTables(context, chain.task, name, rows, cutMs)
    const outbox = resultMessages(context, chain.task, epoch, this.#task)
    this.#task.clear()
    const folded = this.#folded
    this.#folded = []
    this.#foldedCount = 0
    const isSnapshot =
      this.#task.openPanes <= SMALL_SNAPSHOT_PANES ||
      epoch - (this.#snapshot?.epoch ?? -1) >= SNAPSHOT_EVERY_EPOCHS
    const panes = isSnapshot ? encodeLines(this.#task.snapshot()) : null
    const state = this.#task.state
    await this.#committer.commit({
      epoch,
      cutMs,
      tables,
      outbox,
      groupOffset: null,
      stage: async () => {
        if (panes !== null) {
          const key = await stageLines(context, chain.task, name, 'panes', panes)
          this.#snapshot = { key, epoch }
        }
        return { type: 'merge', state, folded, snapshot: this.#snapshot }
      },
      recorded: () => {},
    })
  }
}

function gap(task: string, known: number, found: number): PipelineError {
  return new PipelineError(
    'MERGE_GAP',
    `the merge has ${task} up to epoch ${known} and finds ${found} next`,
    {
      advice: 'Records of the chain are missing. Restore them, or begin again with --fresh.',
    },
  )
}

function mergeWorkOf(work: { readonly type: string }): MergeWork {
  assert(work.type === 'merge', 'the chain of the merge belongs to another kind of task')
  return work as MergeWork
}
