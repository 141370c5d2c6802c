import { parseMergeTask } from '../checkpoint/keys.ts'
import type { ChainRecord, DataRecord, MergeWork } from '../checkpoint/record.ts'
import type { ChainProblem } from './chain-problems.ts'
import type { ListedChain } from './chain-records.ts'
import type { WholeChain } from './verify-chains.ts'

/** The chains of the merge tasks that fold this task: those of the stage after its own. */
export function readersOf(task: string, chains: Iterable<WholeChain>): readonly WholeChain[] {
  const all = [...chains]
  const stage = stageOf(all.find(({ listed }) => listed.task === task)) + 1
  return all.filter((chain) => stageOf(chain) === stage)
}

/** −1 for a partition task: a topic may have a name as merge tasks have. */
function stageOf(chain: WholeChain | undefined): number {
  if (chain === undefined) return -1
  const isMerge = chain.records.every((record) => record.kind !== 'data' || record.work.type === 'merge')
  return (isMerge ? parseMergeTask(chain.listed.task)?.stage : null) ?? -1
}

/** Of the task, what the snapshots contain from which restores of the merge begin; null where nobody folds it. */
export function mergedEpoch(task: string, readers: readonly WholeChain[]): number | null {
  if (readers.length === 0) return null
  return Math.min(...readers.map(({ records }) => restoredEpoch(task, records)))
}

function restoredEpoch(task: string, records: readonly ChainRecord[]): number {
  const last = records.findLast((record) => record.kind === 'data')
  const snapshot = last?.work.type === 'merge' ? last.work.snapshot : null
  const base = records.find(({ epoch }) => epoch === snapshot?.epoch)
  if (base?.kind !== 'data' || base.work.type !== 'merge') return -1
  return base.work.state.sources[task]?.epoch ?? -1
}

/** What a restore of a merge task reads: its snapshot, its own records since, and those of the tasks that they folded. */
export function verifyMerge(
  task: string,
  data: readonly DataRecord[],
  last: DataRecord,
  { snapshot, state }: MergeWork,
  byTask: ReadonlyMap<string, WholeChain>,
  problems: ChainProblem[],
): void {
  const wrong = (epoch: number, message: string): void =>
    void problems.push({ code: 'merge', task, epoch, message })
  const base = snapshot === null ? null : data.find(({ epoch }) => epoch === snapshot.epoch)
  if (base === undefined)
    wrong(last.epoch, `record ${snapshot!.epoch}, which the snapshot belongs to, is gone`)
  const next = new Map(
    base?.work.type === 'merge'
      ? Object.entries(base.work.state.sources).map(([name, { epoch }]) => [name, epoch + 1])
      : [],
  )
  for (const record of data) {
    if (record.work.type !== 'merge' || (snapshot !== null && record.epoch <= snapshot.epoch)) continue
    for (const { task: name, first, last: end } of record.work.folded) {
      const expected = next.get(name) ?? 0
      if (first !== expected)
        wrong(record.epoch, `record ${record.epoch} folds ${name} from ${first}, not from ${expected}`)
      next.set(name, end + 1)
      const source = byTask.get(name)?.listed.epochs ?? []
      const missing = range(first, end).find((epoch) => !source.includes(epoch))
      if (missing !== undefined) {
        wrong(
          record.epoch,
          `record ${record.epoch} folded epoch ${missing} of ${name}, which is not recorded`,
        )
      }
    }
  }
  for (const [name, { epoch }] of Object.entries(state.sources)) {
    const folded = (next.get(name) ?? 0) - 1
    if (folded !== epoch)
      wrong(last.epoch, `it says that ${name} is folded up to ${epoch}, its records fold up to ${folded}`)
  }
}

/** What the merge has not folded yet must be there for it. */
export function verifyReach(
  { task, epochs }: ListedChain,
  byTask: ReadonlyMap<string, WholeChain>,
  problems: ChainProblem[],
): void {
  const first = epochs[0]
  if (first === undefined) return
  for (const { listed, records } of readersOf(task, byTask.values())) {
    const last = records.findLast((record) => record.kind === 'data')
    const folded = last?.work.type === 'merge' ? (last.work.state.sources[task]?.epoch ?? -1) : -1
    if (first <= folded + 1) continue
    const message = `${listed.task} has folded up to epoch ${folded}, and the chain begins at ${first}`
    problems.push({ code: 'merge', task, epoch: first, message })
  }
}

function range(first: number, last: number): readonly number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index)
}
