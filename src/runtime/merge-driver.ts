import { MERGE_TASK } from '../checkpoint/keys.ts'
import type { FoldedEpochs, MergeWork, SnapshotRef } from '../checkpoint/record.ts'
import { type MergeSnapshot, MergeTask } from '../engine/merge-task.ts'
import type { PartialsJson } from '../engine/partial.ts'
import { assert, PipelineError } from '../errors.ts'
import type { Chain } from './chain.ts'
import { EpochCommitter } from './epoch-committer.ts'
import type { FeedItem, MergeFeed } from './merge-feed.ts'
import type { RunState } from './run-state.ts'
import type { Ownership } from './takeover.ts'
import { encodeLines, readLines, stageLines } from './staged-lines.ts'
import { encodeTables, type TaskContext } from './task-context.ts'

/** The panes are written whole after so many epochs of the merge … */
const SNAPSHOT_EVERY_EPOCHS = 16
/** … and always when they are this few. */
const SMALL_SNAPSHOT_PANES = 256

export interface MergeDriverOptions {
  readonly context: TaskContext
  readonly chain: Chain
  readonly ownership: Ownership
  /** The partition tasks' chains, and the epoch of this process's claim in each. */
  readonly sources: ReadonlyMap<string, { readonly chain: Chain; readonly head: number }>
  readonly feed: MergeFeed
  readonly state: RunState
}

/** Runs the merge task: folds recorded epochs, fires panes, records which epochs it folded and in which order. */
export class MergeDriver {
  readonly #options: MergeDriverOptions
  readonly #committer: EpochCommitter
  #task: MergeTask
  #epoch: number
  #folded: FoldedEpochs[] = []
  #foldedCount = 0
  #snapshot: SnapshotRef | null = null

  constructor(options: MergeDriverOptions) {
    const { context, chain, ownership } = options
    this.#options = options
    this.#committer = new EpochCommitter(context, chain, ownership, mergeTables(context))
    this.#task = this.#createTask(null)
    this.#epoch = context.rules.claimBeforeWork ? ownership.claim + 1 : (ownership.last?.epoch ?? -1) + 1
  }

  get committer(): EpochCommitter {
    return this.#committer
  }

  get task(): MergeTask {
    return this.#task
  }

  /** Until the feed is closed and everything in it is folded, recorded and published. */
  async run(): Promise<void> {
    try {
      await this.#run()
    } finally {
      // Also after a failure: what is on its way arrives before the process may end.
      await this.#committer.settled()
    }
  }

  async #run(): Promise<void> {
    const { feed } = this.#options
    await this.#restore()
    await this.#catchUp()
    for (;;) {
      const items = await feed.take()
      for (const item of items) this.#fold(item)
      if (this.#foldedCount > 0 && this.#isTimeToCut()) await this.#cut()
      if (feed.isClosed) break
    }
    if (this.#foldedCount > 0) await this.#cut()
    await this.#committer.drain()
  }

  /** W is the slowest partition's, so a cut waits for as many epochs as there are partitions that may still move it. */
  #isTimeToCut(): boolean {
    return this.#foldedCount >= this.#task.busySources
  }

  #createTask(work: MergeWork | null): MergeTask {
    const { context, sources } = this.#options
    return new MergeTask(context.plan, [...sources.keys()], work?.state ?? null, context.rules)
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
      for (const folded of mergeWorkOf(record.work).folded) await this.#foldAgain(folded)
      this.#task.cut()
      this.#task.clear()
    }
    assert(
      JSON.stringify(this.#task.state.sources) === JSON.stringify(work.state.sources),
      'the merge was restored to another state than was recorded',
    )
  }

  async #foldAgain(folded: FoldedEpochs): Promise<void> {
    for (let epoch = folded.first; epoch <= folded.last; epoch++) {
      this.#fold(await this.#readItem(folded.task, epoch))
    }
    this.#folded = []
    this.#foldedCount = 0
  }

  /** What the partition tasks recorded before this process took them over. */
  async #catchUp(): Promise<void> {
    for (const [task, { head }] of this.#options.sources) {
      const from = (this.#task.progressOf(task)?.epoch ?? -1) + 1
      for (let epoch = from; epoch <= head; epoch++) {
        this.#fold(await this.#readItem(task, epoch))
        if (this.#foldedCount >= this.#options.sources.size * SNAPSHOT_EVERY_EPOCHS) await this.#cut()
      }
    }
    if (this.#foldedCount > 0) await this.#cut()
  }

  async #readItem(task: string, epoch: number): Promise<FeedItem> {
    const source = this.#options.sources.get(task)
    assert(source !== undefined, `the merge knows no task ${task}`)
    const record = await source.chain.readListed(epoch)
    if (record.kind !== 'data') return { kind: 'claim', task, epoch }
    assert(record.work.type === 'partition', `${task} is no partition task`)
    const { state, partials } = record.work
    const { watermarkMs, idle, ended } = state
    let json: PartialsJson | null = null
    if (partials !== null)
      for (const line of await readLines(this.#options.context, partials)) json = line as PartialsJson
    return { kind: 'epoch', source: { task, epoch, watermarkMs, idle, ended, partials: json } }
  }

  #fold(item: FeedItem): void {
    const { rules } = this.#options.context
    const [task, epoch] =
      item.kind === 'claim' ? [item.task, item.epoch] : [item.source.task, item.source.epoch]
    const known = this.#task.progressOf(task)?.epoch ?? -1
    if (epoch !== known + 1) {
      throw new PipelineError(
        'MERGE_GAP',
        `the merge has ${task} up to epoch ${known} and is given ${epoch}`,
        {
          advice: 'Records of the chain are missing. Restore them, or begin again with --fresh.',
        },
      )
    }
    if (item.kind === 'epoch') this.#task.fold(item.source)
    else if (rules.claimsMoveNoWatermark) this.#task.skip(task, epoch)
    else this.#task.fold({ task, epoch, watermarkMs: Infinity, idle: false, ended: false, partials: null })
    const previous = this.#folded.at(-1)
    if (previous?.task === task) this.#folded[this.#folded.length - 1] = { ...previous, last: epoch }
    else this.#folded.push({ task, first: epoch, last: epoch })
    this.#foldedCount++
  }

  async #cut(): Promise<void> {
    const { context, ownership } = this.#options
    const cutMs = context.clock.nowMs()
    const epoch = this.#epoch++
    const name = { epoch, claim: ownership.claim, nonce: ownership.nonce }
    const rows = this.#task.cut()
    const tables = encodeTables(context, MERGE_TASK, name, rows, cutMs)
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
      stage: async () => {
        if (panes !== null) {
          const key = await stageLines(context, MERGE_TASK, name, 'panes', panes)
          this.#snapshot = { key, epoch }
        }
        return { type: 'merge', state, folded, snapshot: this.#snapshot }
      },
      recorded: () => {},
    })
  }
}

/** The tables that the merge task writes to. */
export function mergeTables(context: Pick<TaskContext, 'plan'>): readonly string[] {
  return context.plan.gold.map((table) => table.shape.path)
}

function mergeWorkOf(work: { readonly type: string }): MergeWork {
  assert(work.type === 'merge', 'the chain of the merge belongs to another kind of task')
  return work as MergeWork
}
