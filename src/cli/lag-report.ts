import type { DataRecord } from '../checkpoint/record.ts'
import type { TaskProgress } from './chain-facts.ts'
import { isoTimeOf } from './format.ts'
import type { PartitionEnds } from './topic-ends.ts'

/** How far a pipeline is behind its topics or its stream, as `millrace lag --json` prints it. Times are ISO 8601, spans milliseconds. */
export interface LagReport<Input extends InputLag = PartitionLag> {
  readonly pipeline: string
  readonly incarnation: number
  readonly at: string
  readonly partitions: readonly Input[]
  readonly merges: readonly MergeLag[]
  /** Of the partitions: the sum of their records, the largest of their times. */
  readonly lagRecords: number
  readonly lagMs: number
}

export interface TaskLag {
  /** Offsets between what is published and the end. */
  readonly lagRecords: number
  /** From the oldest record that is not published to the newest of its topic, by their timestamps in Kafka. Null where that is not known. */
  readonly lagMs: number | null
  readonly watermark: string | null
  /** Of the newest record of work. */
  readonly epoch: number | null
  readonly recordedAt: string | null
  readonly epochAgeMs: number | null
  /** Epochs that are recorded, and not in every table and topic. */
  readonly unpublishedEpochs: number
  readonly owner: string | null
}

/** Of a partition or a shard; `partition` is its task. */
export interface InputLag extends TaskLag {
  readonly partition: string
}

export interface PartitionLag extends InputLag {
  readonly firstOffset: number
  readonly endOffset: number
  /** Of the next record. Null before the first. */
  readonly recordedOffset: number | null
  readonly publishedOffset: number | null
  readonly idle: boolean
  readonly note: LagNote | null
}

/**
 * unread: no process has recorded anything of it yet. expired: the topic has deleted records that were not read. recreated: the topic is
 * another one of that name.
 */
export type LagNote = 'unread' | 'expired' | 'recreated'

export interface MergeLag extends TaskLag {
  readonly task: string
  /** Epochs of partitions that are recorded and not yet in results that are published. */
  readonly epochsToFold: number
}

/** What a task has reached in one partition. */
export interface Reach {
  readonly lagRecords: number
  readonly lagMs: number | null
}

export function partitionLag(
  progress: TaskProgress | null,
  ends: PartitionEnds,
  offsets: { readonly recorded: number | null; readonly published: number | null },
  reach: Reach,
  isRecreated: boolean,
  nowMs: number,
): PartitionLag {
  const work = progress?.recorded?.work
  const { topic, partition, firstOffset, endOffset } = ends
  const { recorded, published } = offsets
  const note = isRecreated
    ? 'recreated'
    : recorded === null
      ? 'unread'
      : recorded < firstOffset
        ? 'expired'
        : null
  return {
    partition: `${topic}-${partition}`,
    firstOffset,
    endOffset,
    recordedOffset: recorded,
    publishedOffset: published,
    idle: work?.type === 'partition' && work.state.idle,
    note,
    ...reach,
    ...taskState(progress, nowMs),
  }
}

/** `reached` by partition task: what of it is in published results. */
export function mergeLag(
  progress: TaskProgress,
  reached: readonly Reach[],
  epochsToFold: number,
  nowMs: number,
): MergeLag {
  const { task } = progress
  return { task, epochsToFold, ...totalReach(reached), ...taskState(progress, nowMs) }
}

export function lagReport<Input extends InputLag>(
  pipeline: string,
  incarnation: number,
  partitions: readonly Input[],
  merges: readonly MergeLag[],
  nowMs: number,
): LagReport<Input> {
  const { lagRecords, lagMs } = totalReach(partitions)
  const at = new Date(nowMs).toISOString()
  return { pipeline, incarnation, at, partitions, merges, lagRecords, lagMs: lagMs ?? 0 }
}

export function totalReach(reached: readonly Reach[]): Reach {
  return {
    lagRecords: reached.reduce((sum, { lagRecords }) => sum + lagRecords, 0),
    lagMs: reached.reduce((largest, { lagMs }) => Math.max(largest, lagMs ?? 0), 0),
  }
}

/** Above which a lag is too much. */
export type LagLimit = { readonly records: number } | { readonly ms: number }

/** What is above the limit: 'trips-3', 'merge-0', or 'all partitions' for their sum. */
export function beyond(report: LagReport<InputLag>, limit: LagLimit): readonly string[] {
  if ('records' in limit) {
    const merges = report.merges.filter(({ lagRecords }) => lagRecords > limit.records)
    const partitions = report.lagRecords > limit.records ? ['all partitions'] : []
    return [...partitions, ...merges.map(({ task }) => task)]
  }
  const tasks = [
    ...report.partitions.map(({ partition, ...lag }) => ({ name: partition, ...lag })),
    ...report.merges.map(({ task, ...lag }) => ({ name: task, ...lag })),
  ]
  return tasks.filter(({ lagMs }) => (lagMs ?? 0) > limit.ms).map(({ name }) => name)
}

export function taskState(progress: TaskProgress | null, nowMs: number): Omit<TaskLag, keyof Reach> {
  const recorded: DataRecord | null = progress?.recorded ?? null
  const watermarkMs = recorded?.work.state.watermarkMs ?? null
  return {
    watermark: isoTimeOf(watermarkMs),
    epoch: recorded?.epoch ?? null,
    recordedAt: isoTimeOf(recorded?.writtenMs ?? null),
    epochAgeMs: recorded === null ? null : Math.max(0, nowMs - recorded.writtenMs),
    unpublishedEpochs: progress?.unpublished ?? 0,
    owner: progress?.owner ?? null,
  }
}
