import type { MergePlace } from '../checkpoint/keys.ts'
import type { FoldedEpochs, MergeWork } from '../checkpoint/record.ts'
import { type MergeOutput, MergeTask } from '../engine/merge-task.ts'
import { assert } from '../errors.ts'
import type { RemovedFile } from '../ports.ts'
import type { Chain } from './chain.ts'
import { EpochCommitter } from './epoch-committer.ts'
import { type FilesByTable, LiveFiles } from './live-files.ts'
import type { FeedItem, MergeFeed } from './merge-feed.ts'
import { MergeSnapshots, type SnapshotLimits } from './merge-snapshots.ts'
import type { MergeSources } from './merge-sources.ts'
import { mergeOutbox, mergeTables, resultMessages } from './outputs.ts'
import type { Ownership } from './ownership.ts'
import { type ChainItem, isMergeEnded, mergeGap, mergeWorkOf, SourceChains } from './source-chains.ts'
import { encodeLines, stageLines } from './staged-lines.ts'
import type { StopScope } from './stop-scope.ts'
import { encodeTables, filesByTable, type TaskContext } from './task-context.ts'
import type { StageFeeds } from './task-feeds.ts'

/** Chains of other processes are looked at so many times in the life of an epoch. */
const LOOKS_AN_EPOCH = 6
const LOOK_EVERY_MS_MIN = 100
/** Those of partitions that have ended only every so many times: in the end they are many, and say nothing more. */
const LOOKS_AT_ENDED = 16
/** Between cuts for early results alone. */
const EARLY_EVERY_MS_MIN = 100
/** A timer has no longer times. */
const WAIT_MS_MAX = 3_600_000
/** A source whose chain was long folds so many epochs in one. */
const FOLDED_MAX = 16
/** Chains that are asked at once. */
const READS_MAX = 32

export interface MergeDriverOptions {
  readonly context: TaskContext
  readonly chain: Chain
  readonly place: MergePlace
  readonly ownership: Ownership
  readonly sources: MergeSources
  readonly feed: MergeFeed
  /** To the next stage; null after the last. */
  readonly next: StageFeeds | null
  /** Another process is to have the merge. (When the run stops, the feed is closed, and the merge ends by itself.) */
  readonly scope: StopScope
  /** How long an epoch may be; null in a replay, where all partition tasks are in this process. */
  readonly everyMs: number | null
  /** Time is the clock's. Else it is that of the newest arrival. */
  readonly isLive: boolean
  readonly snapshots: Partial<SnapshotLimits> | undefined
  /** An epoch is in every sink. */
  readonly published: () => void
}

/**
 * Runs a merge task: folds recorded epochs, fires panes, records which epochs it folded and in which order. Epochs of this process come
 * through the feed, those of others out of the store.
 */
export class MergeDriver {
  readonly #options: MergeDriverOptions
  readonly #committer: EpochCommitter
  readonly #sources: MergeSources
  readonly #chains: SourceChains
  readonly #snapshots: MergeSnapshots
  readonly #files = new LiveFiles()
  /** Sources whose chain has been read on from what was restored: what they recorded before the feed listened is known. */
  readonly #met = new Set<string>()
  #task: MergeTask
  #epoch: number
  #folded: FoldedEpochs[] = []
  #foldedCount = 0
  #foldingSinceMs = 0
  #lookedMs = -Infinity
  #looks = 0
  /** Of the newest record that has been folded. */
  #arrivalMs = -Infinity
  /** Of the last cut. */
  #cutNowMs = -Infinity
  #failure: { readonly error: unknown } | null = null

  constructor(options: MergeDriverOptions) {
    const { context, chain, ownership, place } = options
    this.#options = options
    this.#sources = options.sources
    this.#chains = new SourceChains(context, place)
    this.#snapshots = new MergeSnapshots(context, chain.task, options.snapshots)
    this.#committer = new EpochCommitter(context, chain, ownership, mergeTables(context, place.stage), {
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
    await this.#sources.lookAtChains()
    this.#warnOfGone()
    const wake = (): void => feed.wake()
    scope.signal.addEventListener('abort', wake)
    while (!scope.isStopping && this.#failure === null) {
      await this.#meetSources()
      const isTimeToLook = lookEveryMs !== null && context.clock.nowMs() - this.#lookedMs >= lookEveryMs
      if (isTimeToLook) await this.#lookAtOthers()
      const items = await feed.take(this.#waitMs(lookEveryMs))
      for (const item of items) await this.#take(item)
      if (this.#isTimeToCut()) await this.#cut()
      if (feed.isClosed) break
    }
    scope.signal.removeEventListener('abort', wake)
    if (this.#foldedCount > 0 && this.#failure === null) await this.#cut()
    await this.#committer.drain()
    // The chain's last word, as in a partition's: all messages are published.
    const isLast = this.#task.isEnded || mergeOutbox(context, this.#options.place.stage)?.repeats === true
    if (!isLast || this.#committer.saysMessagesPublished || this.#failure !== null) return
    await this.#cut()
    await this.#committer.drain()
  }

  /** All sources from now on: also those that ended ones were handed on to, which the source may have forgotten before this process heard of them. */
  #expected(): readonly string[] {
    const { all } = this.#sources
    const { handedOn } = this.#task
    const tasks = handedOn.size === 0 ? all : [...new Set([...all, ...handedOn.keys()])]
    this.#task.expect(tasks, (task) => this.#sources.parentsOf(task) ?? handedOn.get(task))
    return tasks
  }

  /** Until there is something to do without being told; null for ever. */
  #waitMs(lookEveryMs: number | null): number | null {
    const { isLive, context } = this.#options
    const dueMs = isLive ? Math.max(this.#earlyCutMs - context.clock.nowMs(), 0) : Infinity
    const waitMs = Math.min(lookEveryMs ?? Infinity, dueMs)
    return waitMs === Infinity ? null : Math.min(waitMs, WAIT_MS_MAX)
  }

  /** When the clock says so an early result is due, whether anything has been folded or not. */
  get #earlyCutMs(): number {
    return Math.max(this.#task.earlyDueMs, this.#cutNowMs + EARLY_EVERY_MS_MIN)
  }

  #fail(error: unknown): void {
    this.#failure ??= { error }
    this.#options.feed.wake()
  }

  /** A topic that was deleted, or is no longer among those that are read: nobody moves its watermark any more. */
  #warnOfGone(): void {
    const { context } = this.#options
    const present = new Set(this.#sources.present)
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
    const { everyMs, isLive, context } = this.#options
    if (isLive && context.clock.nowMs() >= this.#earlyCutMs) return true
    if (this.#foldedCount === 0) return false
    if (this.#foldedCount >= this.#task.busySources) return true
    return everyMs !== null && context.clock.nowMs() - this.#foldingSinceMs >= everyMs
  }

  /** With the sources of that epoch: what was fired without those that have come since is not to be fired again. */
  #createTask(work: MergeWork | null): MergeTask {
    const { context, place } = this.#options
    const { plan, rules } = context
    return new MergeTask(plan, { ...place, tasks: [], state: work?.state ?? null, rules })
  }

  /** The newest snapshot, and the partials folded since, in the recorded order: their rows are already in the tables. */
  async #restore(): Promise<void> {
    const { chain, ownership, context } = this.#options
    const last = ownership.last
    if (last === null) return
    const { snapshot, state } = mergeWorkOf(last.work)
    let next = 0
    if (snapshot !== null) {
      const base = await chain.readListed(snapshot.epoch)
      assert(base.kind === 'data', 'a snapshot belongs to an epoch with work')
      this.#task = this.#createTask(mergeWorkOf(base.work))
      await this.#snapshots.restore(snapshot, this.#task, this.#files)
      next = snapshot.epoch + 1
    }
    for (let epoch = next; epoch <= last.epoch; epoch++) {
      const record = await chain.readListed(epoch)
      if (record.kind !== 'data') continue
      const again = mergeWorkOf(record.work)
      this.#task.expectAgain(again.state.sources)
      for (const folded of again.folded) await this.#foldAgain(folded)
      const recordedMs = again.nowMs ?? record.writtenMs
      const nowMs = context.rules.cutAtRecordedTime ? recordedMs : context.clock.nowMs()
      const replaced = this.#replacedFiles(this.#task.cut({ epoch, nowMs }))
      this.#task.clear()
      // A record of before has replaced nothing: what it was to replace is in the table beside its own.
      this.#keepFiles(epoch, record.removes === undefined ? [replaced, record.files] : [record.files])
    }
    this.#cutNowMs = mergeWorkOf(last.work).nowMs ?? -Infinity
    for (const [task, progress] of Object.entries(state.sources)) {
      assert(
        this.#task.progressOf(task)?.epoch === progress.epoch,
        'the merge was restored to another state than was recorded',
      )
    }
  }

  /** A merge that the program has got later in its life begins with what its sources' chains still have: nothing before was meant for it. */
  #passOver(task: string, first: number): void {
    if (this.#options.context.program > 1 && first - 1 > this.#knownOf(task)) this.#task.skip(task, first - 1)
  }

  async #foldAgain(folded: FoldedEpochs): Promise<void> {
    this.#passOver(folded.task, folded.first)
    for await (const item of this.#chains.again(folded)) this.#fold(item)
    this.#folded = []
    this.#foldedCount = 0
  }

  /** What the sources recorded before this process ran the merge, and those that have come since. */
  async #meetSources(): Promise<void> {
    const tasks = this.#expected()
    for (const task of tasks) {
      if (this.#met.has(task)) continue
      this.#met.add(task)
      if (this.#task.progressOf(task)?.ended === true) {
        await this.#readOn(task)
        continue
      }
      const first = await this.#chains.firstOf(task)
      if (first !== undefined) this.#passOver(task, first)
      const known = this.#knownOf(task)
      if (first !== undefined && first > known + 1) throw mergeGap(task, known, first)
      await this.#readOn(task)
    }
  }

  /** Epochs that other processes have recorded. */
  async #lookAtOthers(): Promise<void> {
    const { feed, context } = this.#options
    this.#lookedMs = context.clock.nowMs()
    const withEnded = this.#looks++ % LOOKS_AT_ENDED === 0
    const isDue = (task: string): boolean =>
      !feed.isLocal(task) && (withEnded || this.#task.progressOf(task)?.ended !== true)
    const others = this.#expected().filter(isDue)
    for (let from = 0; from < others.length; from += READS_MAX) {
      const some = others.slice(from, from + READS_MAX)
      // Read ahead of the folding, which is in the order of the sources.
      const next = await Promise.all(some.map((task) => this.#chains.read(task, this.#knownOf(task) + 1)))
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
    if (this.#knownOf(task) < before) throw mergeGap(task, this.#knownOf(task), epoch)
    if (item.kind === 'epoch' && epoch > this.#knownOf(task))
      this.#fold({ kind: 'epoch', source: item.source })
  }

  /** Folds what a chain has next, up to an epoch or to its end, and cuts in between so that a long backlog is no long epoch. */
  async #readOn(task: string, upTo = Infinity): Promise<void> {
    while (this.#knownOf(task) < upTo) {
      const item = await this.#chains.read(task, this.#knownOf(task) + 1)
      if (item === null) return
      this.#fold(item)
      if (this.#foldedCount >= this.#sources.all.length * FOLDED_MAX) await this.#cut()
    }
  }

  #knownOf(task: string): number {
    return this.#task.progressOf(task)?.epoch ?? -1
  }

  #fold(item: ChainItem): void {
    const { rules, clock } = this.#options.context
    const [task, epoch] =
      item.kind === 'claim' ? [item.task, item.epoch] : [item.source.task, item.source.epoch]
    assert(epoch === this.#knownOf(task) + 1, 'the merge folds a chain in its order')
    if (item.kind === 'epoch') {
      this.#task.fold(item.source)
      this.#arrivalMs = Math.max(this.#arrivalMs, item.source.lastArrivalMs)
    } else if (rules.claimsMoveNoWatermark) this.#task.skip(task, epoch)
    else this.#task.fold({ task, epoch, ...CLAIM_WITH_WATERMARK })
    const previous = this.#folded.at(-1)
    if (previous?.task === task) this.#folded[this.#folded.length - 1] = { ...previous, last: epoch }
    else this.#folded.push({ task, first: epoch, last: epoch })
    if (this.#foldedCount++ === 0) this.#foldingSinceMs = clock.nowMs()
  }

  /** A moment that does not go back, and that the record says: early results depend on it. */
  #nowMs(): number {
    const { isLive, context } = this.#options
    return Math.max(this.#cutNowMs, isLive ? context.clock.nowMs() : this.#arrivalMs)
  }

  async #cut(): Promise<void> {
    const { context, chain, ownership, next, scope } = this.#options
    const cutMs = context.clock.nowMs()
    const nowMs = this.#nowMs()
    this.#cutNowMs = nowMs
    const epoch = this.#epoch++
    const name = { epoch, claim: ownership.claim, nonce: ownership.nonce }
    const output = this.#task.cut({ epoch, nowMs })
    const { partials } = output
    const removes = this.#replacedFiles(output)
    const tables = encodeTables(context, chain.task, name, output.tables, cutMs)
    const outbox = resultMessages(context, chain.task, epoch, output.topics)
    const partialLines = partials.length === 0 ? null : encodeLines(partials)
    this.#task.clear()
    this.#keepFiles(epoch, [filesByTable(tables)])
    const folded = this.#folded
    this.#folded = []
    this.#foldedCount = 0
    const kind = this.#snapshots.due(epoch, this.#task.openPanes)
    const state = this.#task.state
    const { downstreamWatermarkMs: watermarkMs } = state
    const recorded = { task: chain.task, epoch, watermarkMs, idle: false, ended: isMergeEnded(state) }
    await this.#committer.commit({
      epoch,
      cutMs,
      tables,
      removes,
      outbox,
      groupOffset: null,
      // Nothing is folded before the record is put: the panes stay as they are while they are written.
      stage: async (): Promise<MergeWork> => {
        const [snapshot, key] = await Promise.all([
          kind === null ? this.#snapshots.newest : this.#snapshots.stage(kind, name, this.#task, this.#files),
          partialLines === null ? null : stageLines(context, chain.task, name, 'partials', partialLines),
        ])
        const work = { type: 'merge', state, folded, snapshot, nowMs } as const
        return key === null ? work : { ...work, partials: key }
      },
      recorded: () => next?.offer({ ...recorded, lastArrivalMs: nowMs }, partials),
    })
    // A stage that cannot keep up holds this one back. It never waits for this one in turn.
    if (next !== null) await scope.orStop(next.room())
  }

  #replacedFiles({ tables }: MergeOutput): Record<string, readonly RemovedFile[]> {
    const removes: Record<string, readonly RemovedFile[]> = {}
    for (const { shape, replaces } of tables) {
      const files = this.#files.of(shape.path, replaces)
      if (files.length > 0) removes[shape.path] = files
    }
    return removes
  }

  #keepFiles(epoch: number, files: readonly FilesByTable[]): void {
    this.#files.keep(epoch, files)
    this.#files.prune(this.#task.liveEpochs)
  }
}

const CLAIM_WITH_WATERMARK = {
  watermarkMs: Infinity,
  idle: false,
  ended: false,
  lastArrivalMs: -Infinity,
  partials: null,
}
