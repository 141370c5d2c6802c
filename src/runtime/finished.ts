import { decideRedo, saysMessagesPublished } from '../checkpoint/decide.ts'
import { mergeTasksOfStage } from '../checkpoint/keys.ts'
import { sumTotals, type Totals } from '../engine/totals.ts'
import { Chain } from './chain.ts'
import { mergeOutbox, mergeTables, partitionTables, sinkNames } from './outputs.ts'
import { type ChainTail, readTail } from './takeover.ts'
import type { TaskContext } from './task-context.ts'

/** The totals where everything is read and published, so that a start needs no claim; else null. */
export async function totalsIfFinished(
  context: TaskContext,
  chains: ReadonlyMap<string, Chain>,
): Promise<Totals | null> {
  const totals: Totals[] = []
  let heads = new Map<string, number>()
  if (![...context.publishers.values()].every((publisher) => publisher.isCurrent)) return null
  for (const [task, chain] of chains) {
    const tail = await readTail(chain, sinkNames(partitionTables(context), context.deadLetters))
    const work = tail.last?.work
    if (work?.type !== 'partition' || !work.state.ended || hasPending(context, task, tail)) return null
    if (work.state.successors?.some((successor) => !chains.has(successor))) return null
    heads.set(task, tail.last!.epoch)
    totals.push(work.state.totals)
  }
  // Without a source partition the merges have nothing to fold, and no record of it.
  for (let stage = 0; stage < context.plan.stages && chains.size > 0; stage++) {
    const sinks = sinkNames(mergeTables(context, stage), mergeOutbox(context, stage))
    const mergeHeads = new Map<string, number>()
    for (const task of mergeTasksOfStage(context.plan, stage)) {
      const tail = await readTail(new Chain(context, task), sinks)
      const work = tail.last?.work
      if (work?.type !== 'merge' || hasPending(context, task, tail)) return null
      for (const [source, head] of heads) if ((work.state.sources[source]?.epoch ?? -1) < head) return null
      mergeHeads.set(task, tail.last!.epoch)
      totals.push(work.state.totals)
    }
    heads = mergeHeads
  }
  return sumTotals(totals)
}

function hasPending(context: TaskContext, task: string, tail: ChainTail): boolean {
  const appId = context.keys.appId(task)
  const markers = new Map(
    [...context.publishers, ...context.formerPublishers].map(([path, publisher]) => [
      path,
      publisher.markerOf(appId),
    ]),
  )
  return decideRedo(tail.records, markers).length > 0 || !saysMessagesPublished(tail.records)
}
