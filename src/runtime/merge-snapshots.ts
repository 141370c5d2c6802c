import type { StagedName } from '../checkpoint/keys.ts'
import { snapshotKeys, type SnapshotPart, type SnapshotRef } from '../checkpoint/record.ts'
import type { MergeSnapshot, MergeTask } from '../engine/merge-task.ts'
import { isFilesLine, type LiveFiles } from './live-files.ts'
import { readLines, stageParts } from './staged-lines.ts'
import type { TaskContext } from './task-context.ts'

export interface SnapshotLimits {
  /** The panes are written after so many epochs of the merge … */
  readonly everyEpochs: number
  /** … and always, and whole, when they are this few. */
  readonly smallPanes: number
  /** Sets of changes beside a base: each is a request at a restore, and a few words in every record. */
  readonly changesMax: number
  /** Of one object. While one is made nothing else is done. */
  readonly partBytes: number
}

export const SNAPSHOTS: SnapshotLimits = {
  everyEpochs: 16,
  smallPanes: 256,
  changesMax: 64,
  partBytes: 16 * 1024 * 1024,
}

/**
 * The panes of a merge task at rest: a base, and what has changed since. When the changes have become as large as the base a new one is written, so
 * that both a checkpoint and a restore cost what has changed, and not what is open.
 */
export class MergeSnapshots {
  readonly #context: TaskContext
  readonly #task: string
  readonly #limits: SnapshotLimits
  #newest: SnapshotRef | null = null
  /** When the base was written; 0 where that is not known. */
  #basePanes = 0

  constructor(context: TaskContext, task: string, limits: Partial<SnapshotLimits> = {}) {
    this.#context = context
    this.#task = task
    this.#limits = { ...SNAPSHOTS, ...limits }
  }

  /** Null before the first. */
  get newest(): SnapshotRef | null {
    return this.#newest
  }

  /** What to write with this epoch; null for nothing. */
  due(epoch: number, openPanes: number): 'full' | 'changes' | null {
    const newest = this.#newest
    const { everyEpochs, smallPanes, changesMax } = this.#limits
    if (openPanes <= smallPanes) return 'full'
    if (epoch - (newest?.epoch ?? -1) < everyEpochs) return null
    // A snapshot of before says nothing of its size.
    if (newest?.bytes === undefined || openPanes * 2 < this.#basePanes) return 'full'
    const changes = newest.changes ?? []
    const changedBytes = changes.reduce((sum, { bytes = 0 }) => sum + bytes, 0)
    return changedBytes >= newest.bytes || changes.length >= changesMax ? 'full' : 'changes'
  }

  /** Stages it. The task must stay as it is meanwhile. */
  async stage(
    kind: 'full' | 'changes',
    name: StagedName,
    task: MergeTask,
    files: LiveFiles,
  ): Promise<SnapshotRef> {
    const before = this.#newest
    const isChange = kind === 'changes' && before !== null
    const lines = linesOf(kind, task, files, isChange ? before.epoch : -1)
    const part = await stageParts(this.#context, this.#task, name, 'panes', lines, this.#limits.partBytes)
    if (!isChange) this.#basePanes = task.openPanes
    this.#newest = isChange ? withChange(before, part, name.epoch) : { ...part, epoch: name.epoch }
    return this.#newest
  }

  /** Reads one into a task that has the state of its epoch. */
  async restore(snapshot: SnapshotRef, task: MergeTask, files: LiveFiles): Promise<void> {
    const { rules } = this.#context
    this.#newest = snapshot
    for (const key of snapshotKeys(snapshot)) {
      for (const line of await readLines(this.#context, key)) {
        if (!isFilesLine(line)) task.restore(line as MergeSnapshot)
        else if (rules.restoreFiles) files.restore(line)
      }
    }
  }
}

function* linesOf(kind: 'full' | 'changes', task: MergeTask, files: LiveFiles, since: number): Generator {
  yield* task.snapshot(kind)
  yield files.lineSince(since)
}

function withChange(before: SnapshotRef, part: SnapshotPart, epoch: number): SnapshotRef {
  return { ...before, epoch, changes: [...(before.changes ?? []), part] }
}
