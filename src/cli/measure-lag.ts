import { parsePosition } from '../../consumers/kafka/position.ts'
import { historyOffset } from '../checkpoint/history-position.ts'
import type { DataRecord } from '../checkpoint/record.ts'
import { PipelineError } from '../errors.ts'
import type { KafkaClient } from '../kafka/client.ts'
import type { TaskProgress } from './chain-facts.ts'
import { type LagReport, partitionLag, type PartitionLag, type Reach, lagReport } from './lag-report.ts'
import { chainProgress, type ChainSources, mergeLags } from './pipeline-lag.ts'
import { type PartitionEnds, TopicEnds, type TopicFacts } from './topic-ends.ts'

export interface LagSources extends ChainSources {
  readonly client: KafkaClient
  /** Beside those that have chains. */
  readonly topics: readonly string[]
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
  const { client, pipeline, retry } = sources
  const { chains, tasks } = await chainProgress(sources)
  const topicEnds = new TopicEnds(client)
  const places = await placesOf(sources, tasks, topicEnds)
  const times = new Times(topicEnds)
  const nowMs = retry.clock.nowMs()
  const partitions = await Promise.all(places.map((place) => lagOfPartition(place, times, nowMs)))
  const endsOf = new Map(places.map(({ id, ends }) => [id, ends]))
  const reachOf = (task: string, record: DataRecord | null): Promise<Reach> =>
    times.reach(endsOf.get(task)!, positionOf(record)?.offset ?? null)
  const inputs = places.map(({ id }) => id)
  const merges = await mergeLags(tasks, inputs, reachOf, nowMs)
  return lagReport(pipeline, chains.incarnation.incarnation, partitions, merges, nowMs)
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
