import { isChainFolder, mergeTasksOf, parseMergeTask } from '../checkpoint/keys.ts'
import type { ChainRecord, DataRecord } from '../checkpoint/record.ts'
import { retainedEpochs } from '../checkpoint/retention.ts'
import type { Source } from '../ports.ts'
import { Chain } from './chain.ts'
import { retrying } from './retry.ts'
import type { TaskContext } from './task-context.ts'

type FolderContext = Pick<TaskContext, 'plan' | 'store' | 'keys' | 'retry' | 'rules'>

/** Whether a source may have no more what it had: elsewhere what is listed is all there is. */
export function hasRetired(source: Source): boolean {
  return source.partitionOf !== undefined
}

/** Chains that are asked at once. */
const READS_MAX = 16

/** The partition tasks that have a chain in the incarnation, whether the source still lists them or not. */
export async function partitionChains({
  plan,
  store,
  keys,
  retry,
}: FolderContext): Promise<readonly string[]> {
  const { root } = keys
  const merges = new Set(mergeTasksOf(plan))
  const folders = await retrying(retry, `list ${root}`, async () => {
    if (store.listFolders !== undefined) return store.listFolders(root)
    const objects = await store.list(root)
    return [...new Set(objects.map(({ key }) => key.slice(root.length).split('/')[0]!))]
  })
  // Also not those of a merge that the program has lost.
  return folders.filter((name) => isChainFolder(name) && !merges.has(name) && parseMergeTask(name) === null)
}

/** The same with those that they were handed on to: one that has not begun yet may be gone from the source by now, and then its records are lost. */
export async function knownPartitions(context: FolderContext): Promise<readonly string[]> {
  const tasks = await partitionChains(context)
  const known = new Set(tasks)
  for (let from = 0; from < tasks.length; from += READS_MAX) {
    const some = tasks.slice(from, from + READS_MAX).map((task) => readEnd(new Chain(context, task)))
    for (const end of await Promise.all(some)) {
      const work = end?.work?.work
      if (work?.type !== 'partition') continue
      for (const successor of work.state.successors ?? []) known.add(successor)
    }
  }
  return [...known]
}

/** The end of a chain that others may be writing to. */
export interface ChainEnd {
  readonly head: ChainRecord
  /** The newest record of work; null where there is none. */
  readonly work: DataRecord | null
}

/** Null for an empty chain. */
export async function readEnd(chain: Chain): Promise<ChainEnd | null> {
  for (;;) {
    const epochs = retainedEpochs(await chain.list())
    if (epochs.length === 0) return null
    const end = await readListedEnd(chain, epochs)
    if (typeof end !== 'number') return end
    // Its owner has come far beyond, and has deleted it. Where nobody has, something else deletes records.
    if ((await chain.list()).at(-1)! <= epochs.at(-1)!) await chain.readListed(end)
  }
}

/** The epoch that was listed and cannot be read, where there is one. */
async function readListedEnd(chain: Chain, epochs: readonly number[]): Promise<ChainEnd | number> {
  let head: ChainRecord | null = null
  for (const epoch of epochs.toReversed()) {
    const record = await chain.read(epoch)
    if (record === null) return epoch
    head ??= record
    if (record.kind === 'data') return { head, work: record }
  }
  return { head: head!, work: null }
}
