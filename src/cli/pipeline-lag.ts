import { parseMarker } from '../../sinks/topic/marker.ts'
import { readTable } from '../../sinks/delta/read-table.ts'
import { parseMergeTask } from '../checkpoint/keys.ts'
import type { DataRecord } from '../checkpoint/record.ts'
import type { MergeState } from '../engine/merge-task.ts'
import type { KafkaClient } from '../kafka/client.ts'
import type { ObjectStore } from '../ports.ts'
import type { Retry } from '../runtime/retry.ts'
import {
  type PipelineChains,
  pipelineChains,
  type SinkMarkers,
  type TaskProgress,
  taskProgress,
  workAt,
} from './chain-facts.ts'
import { mergeLag, type MergeLag, type Reach } from './lag-report.ts'

/** What lag is measured by, whatever the pipeline reads. */
export interface ChainSources {
  readonly store: ObjectStore
  readonly pipeline: string
  /** Of the brokers with the markers of output topics. Null: what goes to topics and streams counts as published when it is recorded. */
  readonly client: KafkaClient | null
  /** Of those markers. */
  readonly transactionalIdPrefix: string
  readonly retry: Retry
}

export interface ChainProgress {
  readonly chains: PipelineChains
  readonly tasks: readonly TaskProgress[]
}

/** How far each task has come. @throws PipelineError PIPELINE_NOT_FOUND, and what store and brokers throw */
export async function chainProgress(sources: ChainSources): Promise<ChainProgress> {
  const { store, pipeline, retry } = sources
  const chains = await pipelineChains(store, pipeline)
  const markers = markersOf(sources, chains)
  const tasks = await Promise.all(
    chains.tasks.map((task) => taskProgress(store, chains.keys, task, markers, retry)),
  )
  return { chains, tasks }
}

/** What of the input lies behind a record of a task that reads it; null: behind nothing. */
export type ReachOf = (task: string, record: DataRecord | null) => Promise<Reach>

/** The lags of all merges. `inputs` are the tasks that read the input, those without a chain among them. */
export function mergeLags(
  tasks: readonly TaskProgress[],
  inputs: readonly string[],
  reachOf: ReachOf,
  nowMs: number,
): Promise<readonly MergeLag[]> {
  const byTask = new Map(tasks.map((progress) => [progress.task, progress]))
  const merges = tasks.filter(({ isMerge }) => isMerge)
  return Promise.all(merges.map((merge) => lagOfMerge(merge, inputs, byTask, reachOf, nowMs)))
}

/** A merge has what its last published epoch has folded. */
async function lagOfMerge(
  merge: TaskProgress,
  inputs: readonly string[],
  byTask: ReadonlyMap<string, TaskProgress>,
  reachOf: ReachOf,
  nowMs: number,
): Promise<MergeLag> {
  const sources = sourcesOf(merge.published)
  const folded = await foldedPartitions(merge.published, byTask)
  const { stage } = parseMergeTask(merge.task) ?? { stage: 0 }
  // Of a later stage those that it has heard of: they are as many as there are slices.
  const read = stage === 0 ? inputs : Object.keys(sources)
  let epochsToFold = 0
  for (const task of read) {
    const head = byTask.get(task)?.recorded?.epoch ?? -1
    epochsToFold += Math.max(0, head - (sources[task]?.epoch ?? -1))
  }
  const reached: Reach[] = []
  for (const task of inputs) {
    const progress = byTask.get(task)
    const upTo = folded.get(task) ?? -1
    const recorded = progress?.recorded ?? null
    const last = recorded === null || upTo >= recorded.epoch ? recorded : await workAt(progress!.chain, upTo)
    reached.push(await reachOf(task, last))
  }
  return mergeLag(merge, reached, epochsToFold, nowMs)
}

function sourcesOf(record: DataRecord | null): MergeState['sources'] {
  return record?.work.type === 'merge' ? record.work.state.sources : {}
}

/** Up to which epoch each partition is in the work of a merge task: through the stages before it, as far as every slice of them has it. */
async function foldedPartitions(
  record: DataRecord | null,
  byTask: ReadonlyMap<string, TaskProgress>,
): Promise<ReadonlyMap<string, number>> {
  const folded = new Map<string, number>()
  const learn = (task: string, epoch: number): void =>
    void folded.set(task, Math.min(folded.get(task) ?? Infinity, epoch))
  for (const [task, { epoch }] of Object.entries(sourcesOf(record))) {
    const source = byTask.get(task)
    if (source?.isMerge !== true) learn(task, epoch)
    else {
      const before = await foldedPartitions(await workAt(source.chain, epoch), byTask)
      for (const [partition, upTo] of before) learn(partition, upTo)
    }
  }
  return folded
}

function markersOf(sources: ChainSources, { incarnation }: PipelineChains): SinkMarkers {
  const { store, client, pipeline, transactionalIdPrefix } = sources
  const tables = new Map<string, Promise<ReadonlyMap<string, number>>>()
  const txnOf = async (path: string): Promise<ReadonlyMap<string, number>> =>
    (await readTable(store, path))?.txn ?? new Map<string, number>()
  return {
    table: async (path, appId) => {
      const txn = tables.get(path) ?? txnOf(path)
      tables.set(path, txn)
      return (await txn).get(appId) ?? -1
    },
    // Dead letters and results have a marker each: a partition has the one, a merge the other.
    outbox: async (task) => {
      if (client === null) return Infinity
      const groups = ['dlq', 'out'].map((kind) => `${transactionalIdPrefix}-${pipeline}-${task}-${kind}`)
      const offsets = await Promise.all(groups.map((group) => client.fetchOffsets(group, null)))
      const epochs = offsets.flat().map(({ metadata }) => {
        const marker = parseMarker(metadata)
        return marker !== null && marker.life === incarnation.nonce ? marker.epoch : -1
      })
      return Math.max(-1, ...epochs)
    },
  }
}
