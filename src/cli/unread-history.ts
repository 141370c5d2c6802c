import { historyOffset } from '../checkpoint/history-position.ts'
import { ChainKeys } from '../checkpoint/keys.ts'
import type { ObjectStore } from '../ports.ts'
import { type IncarnationHistory, readHistoryList } from '../runtime/history.ts'
import type { IncarnationRecord } from '../runtime/incarnation.ts'
import { keyOfFile } from '../runtime/task-context.ts'
import { listChain, readRecord } from './chain-records.ts'

/** The files that an incarnation with history has still to read: also those that have left their tables. */
export async function unreadHistory(
  store: ObjectStore,
  { pipeline, incarnation, history }: IncarnationRecord,
): Promise<readonly string[]> {
  if (history === undefined) return []
  const keys = new ChainKeys(pipeline, incarnation)
  const files: string[] = []
  for (const task of Object.keys(history.positions)) {
    if (!(await isInHistory(store, keys, task))) continue
    for (const file of await readHistoryList({ store, pipeline, history }, task))
      files.push(keyOfFile(file.table, file))
  }
  return files
}

/** Lists of an earlier history of the pipeline, or of one that was never begun. */
export function isOldList(key: string, pipeline: string, history: IncarnationHistory | undefined): boolean {
  const prefix = ChainKeys.historyPrefix(pipeline)
  if (!key.startsWith(prefix)) return false
  return history === undefined || !key.startsWith(`${prefix}${history.lists}/`)
}

async function isInHistory(store: ObjectStore, keys: ChainKeys, task: string): Promise<boolean> {
  const { epochs } = await listChain(store, keys, task)
  for (const epoch of epochs.toReversed()) {
    const record = await readRecord(store, keys, task, epoch)
    if (record?.kind !== 'data' || record.work.type !== 'partition') continue
    const { position } = record.work.state
    return position === null || historyOffset(position) !== null
  }
  return true
}
