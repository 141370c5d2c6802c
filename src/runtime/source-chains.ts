import type { MergePlace } from '../checkpoint/keys.ts'
import type { DataRecord, FoldedEpochs, MergeWork } from '../checkpoint/record.ts'
import { retainedEpochs } from '../checkpoint/retention.ts'
import type { MergeState, SourceEpoch } from '../engine/merge-task.ts'
import type { PartialsJson } from '../engine/partial.ts'
import type { PartitionState } from '../engine/partition-task.ts'
import { areEnded } from '../engine/source-progress.ts'
import { assert, PipelineError } from '../errors.ts'
import { Chain } from './chain.ts'
import { readLine } from './staged-lines.ts'
import type { RecordedEpoch } from './task-feeds.ts'
import type { TaskContext } from './task-context.ts'

/** A record of a source's chain, as the merge sees it. */
export type ChainItem =
  | { readonly kind: 'epoch'; readonly source: SourceEpoch }
  | { readonly kind: 'claim'; readonly task: string; readonly epoch: number }

/** The chains that one merge task folds: those of the partition tasks, or of the stage before its own. */
export class SourceChains {
  readonly #context: TaskContext
  readonly #slice: number
  readonly #chains = new Map<string, Chain>()

  constructor(context: TaskContext, { slice }: MergePlace) {
    this.#context = context
    this.#slice = slice
  }

  /** The oldest epoch that a chain still has; undefined where it has none. */
  async firstOf(task: string): Promise<number | undefined> {
    return retainedEpochs(await this.#chainOf(task).list())[0]
  }

  /** A record with the partials of the slice; null where the chain has none of that number yet. */
  async read(task: string, epoch: number): Promise<ChainItem | null> {
    const record = await this.#chainOf(task).read(epoch)
    if (record === null) return null
    if (record.kind !== 'data') return { kind: 'claim', task, epoch }
    const { partials = null } = record.work
    const line = partials === null ? null : await readLine(this.#context, partials, this.#slice)
    const json = (line ?? null) as PartialsJson | null
    return { kind: 'epoch', source: { ...recordedEpoch(record), partials: json } }
  }

  /** All epochs of a range that an earlier epoch of the merge has folded. */
  async *again({ task, first, last }: FoldedEpochs): AsyncGenerator<ChainItem> {
    for (let epoch = first; epoch <= last; epoch++) {
      const item = await this.read(task, epoch)
      if (item === null) throw mergeGap(task, epoch - 1, epoch)
      yield item
    }
  }

  #chainOf(task: string): Chain {
    const known = this.#chains.get(task)
    if (known !== undefined) return known
    const chain = new Chain(this.#context, task)
    this.#chains.set(task, chain)
    return chain
  }
}

/** What a merge needs to know of a source's epoch beside its partials. */
export function recordedEpoch({
  task,
  epoch,
  work,
}: Pick<DataRecord, 'task' | 'epoch' | 'work'>): RecordedEpoch {
  if (work.type === 'partition') return recordedPartition(task, epoch, work.state)
  const { state, nowMs = -Infinity } = work
  const { downstreamWatermarkMs: watermarkMs } = state
  return { task, epoch, watermarkMs, idle: false, ended: isMergeEnded(state), lastArrivalMs: nowMs }
}

export function recordedPartition(task: string, epoch: number, state: PartitionState): RecordedEpoch {
  const { watermarkMs, idle, ended, lastArrivalMs, parents, successors } = state
  return {
    task,
    epoch,
    watermarkMs,
    idle,
    ended,
    lastArrivalMs,
    ...(parents && { parents }),
    ...(successors && { successors }),
  }
}

/** True where none of its sources will add anything more. */
export function isMergeEnded({ sources }: MergeState): boolean {
  const all = new Map(Object.entries(sources))
  return all.size > 0 && areEnded(all)
}

export function mergeWorkOf(work: { readonly type: string }): MergeWork {
  assert(work.type === 'merge', 'the chain of a merge belongs to another kind of task')
  return work as MergeWork
}

export function mergeGap(task: string, known: number, found: number): PipelineError {
  return new PipelineError(
    'MERGE_GAP',
    `the merge has ${task} up to epoch ${known} and finds ${found} next`,
    {
      advice: 'Records of the chain are missing. Restore them, or begin again with --fresh.',
    },
  )
}
