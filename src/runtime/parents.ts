import type { PartitionWork } from '../checkpoint/record.ts'
import type { KeyedOutput, PartitionTask } from '../engine/partition-task.ts'
import { PipelineError } from '../errors.ts'
import { Chain } from './chain.ts'
import { type ChainEnd, readEnd } from './chain-folders.ts'
import { OwnershipLost } from './ownership.ts'
import type { PartitionEnds } from './partition-ends.ts'
import { readLines } from './staged-lines.ts'
import type { StopScope } from './stop-scope.ts'
import type { TaskContext } from './task-context.ts'

/** Of a look at the chain of a parent that has not ended; the first looks come sooner. */
const LOOK_EVERY_MS_MAX = 5_000
const LOOK_EVERY_MS_MIN = 100

/** A partition that another one follows, as its chain tells it. */
export interface Parent {
  readonly task: string
  readonly epoch: number
  readonly work: PartitionWork
}

export interface ParentsOptions {
  readonly context: TaskContext
  /** Who waits. */
  readonly task: string
  readonly parents: readonly string[]
  /** The source still has it, or had it in the history that is read: somebody reads it, or will. */
  readonly isPresent: (task: string) => boolean
  /** In this process: a parent that ends here is not waited for any longer. */
  readonly ends: PartitionEnds
  /** Ends the waiting. */
  readonly scope: StopScope
}

/**
 * Waits until each parent has recorded its end, whoever owns it, and returns them; null where the task is to stop first, or a parent has stopped before its end (`--until`).
 * A parent that has no chain in this incarnation, and is not present either, is gone: nobody waits for it. Throws OwnershipLost where the incarnation has been replaced.
 */
export async function awaitParents({
  context,
  task: follower,
  parents,
  isPresent,
  ends,
  scope,
}: ParentsOptions): Promise<readonly Parent[] | null> {
  const found: Parent[] = []
  for (const task of parents) {
    const chain = new Chain(context, task)
    for (let waitMs = LOOK_EVERY_MS_MIN; ; waitMs = Math.min(waitMs * 2, LOOK_EVERY_MS_MAX)) {
      const over = new AbortController()
      try {
        // Before the look: what happens meanwhile is then seen by the next one.
        const change = ends.changed(over.signal)
        const end = await readEnd(chain)
        const parent = parentOf(task, end)
        const { parentsFirst } = context.rules
        if (parent !== null && (parent.work.state.ended || !parentsFirst)) {
          found.push(parent)
          break
        }
        if (end?.head.kind === 'seal') throw new OwnershipLost(follower)
        if ((end === null && !isPresent(task)) || !parentsFirst) break
        if (ends.hasStopped(task)) return null
        // Of what other processes do nobody tells us.
        const look = ends.isAlone ? [] : [context.clock.sleep(waitMs, over.signal)]
        await scope.orStop(Promise.race([change, ...look]))
        if (scope.isStopping) return null
      } finally {
        over.abort()
      }
    }
  }
  return found
}

/** Gives a task what the steps of its parents remember by key. */
export async function inheritKeys(
  context: TaskContext,
  task: PartitionTask,
  parents: readonly Parent[],
): Promise<void> {
  const lowestMs = Math.min(...parents.map(({ work }) => work.state.watermarkMs))
  for (const parent of parents) {
    const { watermarkMs } = parent.work.state
    const from = { watermarkMs, isLowest: watermarkMs === lowestMs }
    await readKeyed(context, parent, (output) => task.inheritKeyed(output, from))
  }
}

/** Its owner may write its state anew meanwhile, with its last words, and delete what it had before. To take a part of it twice does no harm. */
async function readKeyed(
  context: TaskContext,
  parent: Parent,
  take: (output: KeyedOutput) => void,
): Promise<void> {
  for (let known: Parent = parent; ; ) {
    try {
      for (const key of known.work.dedupe)
        for (const line of await readLines(context, key)) take(line as KeyedOutput)
      return
    } catch (error) {
      if (!(error instanceof PipelineError) || error.code !== 'STATE_GONE') throw error
      const newest = parentOf(parent.task, await readEnd(new Chain(context, parent.task)))
      if (newest === null || newest.epoch <= known.epoch) throw error
      known = newest
    }
  }
}

/** Null where its chain has no work of a partition. */
function parentOf(task: string, end: ChainEnd | null): Parent | null {
  const record = end?.work ?? null
  return record?.work.type === 'partition' ? { task, epoch: record.epoch, work: record.work } : null
}
