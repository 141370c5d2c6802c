import type { TaskProgress } from './chain-facts.ts'
import { type InputLag, taskState } from './lag-report.ts'

/** A shard in a report of lag. `partition` is its task. */
export interface ShardLag extends InputLag {
  /** 'shardId-000000000003'. */
  readonly shard: string
  /** False where there are more records than were counted. */
  readonly isExact: boolean
  /** What is not recorded yet, as `lagRecords` and `lagMs` are what is not published. */
  readonly unrecorded: number
  readonly unrecordedMs: number
  /** How many records the shard's line has had, those of its parents among them. Null before the first epoch. */
  readonly recordedOffset: number | null
  readonly publishedOffset: number | null
  readonly idle: boolean
  readonly note: ShardNote | null
}

/**
 * unread: no process has recorded anything of it yet. waiting: nor could it, because a parent is not read to its end. ended: closed, and all of it is published. expired:
 * the stream has deleted records that were not read. recreated: the stream is another one of that name.
 */
export type ShardNote = 'unread' | 'waiting' | 'ended' | 'expired' | 'recreated'

/** What was found out of a shard. */
export interface ShardMeasure {
  readonly lagRecords: number
  readonly lagMs: number
  readonly isExact: boolean
  readonly unrecorded: number
  readonly unrecordedMs: number
  readonly recordedOffset: number | null
  readonly publishedOffset: number | null
  readonly note: ShardNote | null
}

export function shardLag(
  partition: string,
  shard: string,
  progress: TaskProgress | null,
  measure: ShardMeasure,
  nowMs: number,
): ShardLag {
  const work = progress?.recorded?.work
  const idle = work?.type === 'partition' && work.state.idle
  return { partition, shard, idle, ...measure, ...taskState(progress, nowMs) }
}
