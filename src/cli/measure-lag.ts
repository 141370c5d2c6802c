import { parsePosition } from '../../consumers/kafka/position.ts'
import { historyOffset } from '../checkpoint/history-position.ts'
import { parseMarker } from '../../sinks/topic/marker.ts'
import { readTable } from '../../sinks/delta/read-table.ts'
import { parseMergeTask } from '../checkpoint/keys.ts'
import type { DataRecord } from '../checkpoint/record.ts'
import type { MergeState } from '../engine/merge-task.ts'
import { PipelineError } from '../errors.ts'
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
import {
  type LagReport,
  mergeLag,
  type MergeLag,
  partitionLag,
  type PartitionLag,
  type Reach,
  totalReach,
} from './lag-report.ts'
import { type PartitionEnds, TopicEnds, type TopicFacts } from './topic-ends.ts'

export interface LagSources {
  readonly store: ObjectStore
  readonly client: KafkaClient
  readonly pipeline: string
  /** Beside those that have chains. */
  readonly topics: readonly string[]
  /** Of the markers of output topics. */
  readonly transactionalIdPrefix: string
  readonly retry: Retry
}

/** A partition with what is known of it on both sides. */
interface Place {
  readonly id: string
  readonly ends: PartitionEnds
  readonly progress: TaskProgress | null
  readonly topic: TopicFacts
}

/**
 * Compares the chains with the topics. Both go on meanwhile: the chains are read first, so that nothing looks further than it is.
 * @throws PipelineError PIPELINE_NOT_FOUND, NO_TOPICS, and what store and brokers throw
 */
export async function measureLag(sources: LagSources): Promise<LagReport> {
  const { store, client, pipeline, retry } = sources
  const chains = await pipelineChains(store, pipeline)
  const markers = markersOf(sources, chains)
  const tasks = await Promise.all(
    chains.tasks.map((task) => taskProgress(store, chains.keys, task, markers, retry)),
  )
  const topicEnds = new TopicEnds(client)
  const places = await placesOf(sources, tasks, topicEnds)
  const times = new Times(topicEnds)
  const nowMs = retry.clock.nowMs()
  const partitions = await Promise.all(places.map((place) => lagOfPartition(place, times, nowMs)))
  const byTask = new Map(tasks.map((progress) => [progress.task, progress]))
  const merges = await Promise.all(
    tasks.filter(({ isMerge }) => isMerge).map((merge) => lagOfMerge(merge, places, byTask, times, nowMs)),
  )
  const { lagRecords, lagMs } = totalReach(partitions)
  return {
    pipeline,
    incarnation: chains.incarnation.incarnation,
    at: new Date(nowMs).toISOString(),
    partitions,
    merges,
    lagRecords,
    lagMs: lagMs ?? 0,
  }
}

async function placesOf(
  { topics }: LagSources,
  tasks: readonly TaskProgress[],
  topicEnds: TopicEnds,
): Promise<readonly Place[]> {
  const byId = new Map(tasks.map((progress) => [progress.task, progress]))
  const named = tasks
    .filter(({ isMerge }) => !isMerge)
    .map(({ task }) => /^(.+)-\d+$/.exec(task)?.[1] ?? task)
  const names = [...new Set([...topics, ...named])].toSorted()
  if (names.length === 0) {
    throw new PipelineError('NO_TOPICS', 'the pipeline has no partitions yet', {
      advice: 'Name its topic with --topic, or wait until it has begun.',
    })
  }
  const found = await topicEnds.topics(names)
  const missing = names.find((name) => !found.has(name))
  if (missing !== undefined) {
    throw new PipelineError('TOPIC_NOT_FOUND', `the brokers have no topic ${missing}`, {
      advice: 'Check --brokers. A pipeline that reads a recording has no lag.',
    })
  }
  const partitions = [...found].flatMap(([topic, facts]) =>
    Array.from({ length: facts.partitions }, (_, partition) => ({ topic, partition })),
  )
  const ends = await topicEnds.ends(partitions)
  return ends.map((end) => {
    const id = `${end.topic}-${end.partition}`
    return { id, ends: end, progress: byId.get(id) ?? null, topic: found.get(end.topic)! }
  })
}

async function lagOfPartition(
  { ends, progress, topic }: Place,
  times: Times,
  nowMs: number,
): Promise<PartitionLag> {
  const recorded = positionOf(progress?.recorded ?? null)
  const published = positionOf(progress?.published ?? null)
  const reach = await times.reach(ends, published?.offset ?? null)
  const isRecreated = recorded !== null && recorded.topicId !== topic.topicId
  const offsets = { recorded: recorded?.offset ?? null, published: published?.offset ?? null }
  return partitionLag(progress, ends, offsets, reach, isRecreated, nowMs)
}

/** A merge has what its last published epoch has folded. */
async function lagOfMerge(
  merge: TaskProgress,
  places: readonly Place[],
  byTask: ReadonlyMap<string, TaskProgress>,
  times: Times,
  nowMs: number,
): Promise<MergeLag> {
  const sources = sourcesOf(merge.published)
  const folded = await foldedPartitions(merge.published, byTask)
  const { stage } = parseMergeTask(merge.task) ?? { stage: 0 }
  // Of a later stage those that it has heard of: they are as many as there are slices.
  const read = stage === 0 ? places.map(({ id }) => id) : Object.keys(sources)
  let epochsToFold = 0
  for (const task of read) {
    const head = byTask.get(task)?.recorded?.epoch ?? -1
    epochsToFold += Math.max(0, head - (sources[task]?.epoch ?? -1))
  }
  const reached: Reach[] = []
  for (const { id, ends, progress } of places) {
    const upTo = folded.get(id) ?? -1
    const recorded = progress?.recorded ?? null
    const last = recorded === null || upTo >= recorded.epoch ? recorded : await workAt(progress!.chain, upTo)
    reached.push(await times.reach(ends, positionOf(last)?.offset ?? null))
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

function positionOf(record: DataRecord | null): { readonly topicId: string; readonly offset: number } | null {
  if (record?.work.type !== 'partition') return null
  const { position } = record.work.state
  // In the history of a backfill nothing of the topic is read.
  if (position === null || historyOffset(position) !== null) return null
  try {
    return parsePosition(position)
  } catch (error) {
    throw new PipelineError('NOT_FROM_KAFKA', `${record.task} was not read from Kafka`, {
      cause: error,
      advice: 'The pipeline has read a recording into this lake: it has no lag.',
    })
  }
}

/** How much of the stream lies behind an offset. Asked once for each offset: most tasks are at the same. */
class Times {
  readonly #topicEnds: TopicEnds
  readonly #newest = new Map<string, Promise<number | null>>()
  readonly #reaches = new Map<string, Promise<Reach>>()

  constructor(topicEnds: TopicEnds) {
    this.#topicEnds = topicEnds
  }

  /** `offset` of the next record; null before the first. */
  reach(ends: PartitionEnds, offset: number | null): Promise<Reach> {
    const from = Math.max(offset ?? 0, ends.firstOffset)
    const key = `${ends.topic}/${ends.partition}/${from}`
    const known = this.#reaches.get(key) ?? this.#measure(ends, from)
    this.#reaches.set(key, known)
    return known
  }

  async #measure(ends: PartitionEnds, from: number): Promise<Reach> {
    if (from >= ends.endOffset) return { lagRecords: 0, lagMs: 0 }
    const firstMs = await this.#topicEnds.firstTime(ends, from)
    if (firstMs === null) return { lagRecords: 0, lagMs: 0 }
    const newestMs = await this.#newestTime(ends)
    const lagMs = newestMs === null || Number.isNaN(firstMs) ? null : Math.max(0, newestMs - firstMs)
    return { lagRecords: ends.endOffset - from, lagMs }
  }

  #newestTime(ends: PartitionEnds): Promise<number | null> {
    const key = `${ends.topic}/${ends.partition}`
    const known = this.#newest.get(key) ?? this.#topicEnds.newestTime(ends)
    this.#newest.set(key, known)
    return known
  }
}

function markersOf(sources: LagSources, { incarnation }: PipelineChains): SinkMarkers {
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
