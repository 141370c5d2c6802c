import { beginOf, type Roots, readShards } from '../../consumers/kinesis/lineage.ts'
import {
  isKinesisPosition,
  type KinesisPosition,
  parseKinesisPosition,
  type PositionPlace,
} from '../../consumers/kinesis/position.ts'
import { loadRoots } from '../../consumers/kinesis/roots-file.ts'
import { shardOfTask, taskOfShard } from '../../consumers/kinesis/shard-task.ts'
import type { DataRecord } from '../checkpoint/record.ts'
import { PipelineError } from '../errors.ts'
import type { KinesisApi, ShardFacts, StreamFacts } from '../kinesis/api.ts'
import type { TaskProgress } from './chain-facts.ts'
import { type LagReport, type Reach, lagReport } from './lag-report.ts'
import { chainProgress, type ChainSources, mergeLags } from './pipeline-lag.ts'
import { type ShardLag, shardLag, type ShardMeasure, type ShardNote } from './shard-lag.ts'
import { readTail, type ShardTail } from './shard-tail.ts'

export interface StreamLagSources extends ChainSources {
  readonly api: KinesisApi
  /** Null: the one that has chains. */
  readonly stream: string | null
  /** Of a shard, so many records are counted. */
  readonly recordsMax: number
}

const NO_TAIL: ShardTail = { records: 0, isExact: true, behindMs: 0, newestMs: null }
const TRIM: PositionPlace = { kind: 'trim' }

/** A shard with what is known of it on both sides. */
interface Place {
  readonly task: string
  readonly shardId: string
  readonly progress: TaskProgress | null
  readonly recorded: KinesisPosition | null
  readonly published: KinesisPosition | null
  readonly note: ShardNote | null
  /** Where it begins. */
  readonly begin: PositionPlace
  /** The stream still has it. */
  readonly isListed: boolean
}

/** A place, and what the stream has behind what is published of it. */
interface Measured {
  readonly place: Place
  readonly tail: ShardTail
  /** Of the record that the tail begins at; null: at the beginning of the shard. */
  readonly from: DataRecord | null
}

/**
 * Compares the chains with the stream: the chains first, so that nothing looks further than it is. Each shard is read once, from what is published on.
 * @throws PipelineError PIPELINE_NOT_FOUND, NO_STREAM, and what the store and Kinesis throw
 */
export async function measureStreamLag(sources: StreamLagSources): Promise<LagReport<ShardLag>> {
  const { api, pipeline, store, retry } = sources
  const { chains, tasks } = await chainProgress(sources)
  const stream = streamOf(tasks, sources.stream)
  const facts = await api.describeStream(stream)
  const listed = await api.listShards(stream)
  const roots = await loadRoots({ store, prefix: chains.keys.leasePrefix, known: [] })
  const nowMs = retry.clock.nowMs()
  const places = placesOf({ stream: facts, listed, tasks, roots, nowMs })
  const measured = await Promise.all(places.map((place) => measure(sources, stream, place)))
  const partitions = measured.map(({ place, tail, from }) =>
    shardLag(place.task, place.shardId, place.progress, lagOf(place, tail, from), nowMs),
  )
  const byTask = new Map(measured.map((one) => [one.place.task, one]))
  const reachOf = async (task: string, record: DataRecord | null): Promise<Reach> =>
    reachFrom(byTask.get(task)!, record)
  const inputs = places.map(({ task }) => task)
  const merges = await mergeLags(tasks, inputs, reachOf, nowMs)
  return lagReport(pipeline, chains.incarnation.incarnation, partitions, merges, nowMs)
}

function streamOf(tasks: readonly TaskProgress[], named: string | null): string {
  const found = new Set(
    tasks.flatMap(({ task, isMerge }) => (isMerge ? [] : (shardOfTask(task)?.stream ?? []))),
  )
  const stream = named ?? [...found][0]
  if (stream !== undefined && (found.size === 0 || found.has(stream))) return stream
  throw stream === undefined
    ? new PipelineError('NO_STREAM', 'the pipeline has no shards yet', {
        advice: 'Name its stream with --stream, or wait until it has begun.',
      })
    : new PipelineError('NO_STREAM', `the pipeline does not read the stream ${stream}`, {
        advice: `It reads ${[...found].join(', ')}: leave --stream out.`,
      })
}

interface PlaceFacts {
  readonly stream: StreamFacts
  readonly listed: readonly ShardFacts[]
  readonly tasks: readonly TaskProgress[]
  /** Null where nobody has decided yet: all that are listed are read. */
  readonly roots: Roots | null
  readonly nowMs: number
}

/** All shards that are read, and those that were and are not all published. */
function placesOf(facts: PlaceFacts): readonly Place[] {
  const { stream, listed, tasks, roots } = facts
  const progresses = new Map(
    tasks.filter(({ task }) => shardOfTask(task) !== null).map((progress) => [progress.task, progress]),
  )
  const known = new Set([...progresses.keys()].map((task) => shardOfTask(task)!.shardId))
  const decided = roots ?? { createdMs: stream.createdMs, decidedMs: 0, begin: new Map(), unread: new Set() }
  const read = readShards(decided, listed, known)
  const parents = new Map(read.map((shard) => [shard.shardId, shard.parents]))
  const listedIds = new Set(listed.map(({ shardId }) => shardId))
  const ids = [...new Set([...parents.keys(), ...known])].toSorted()
  const hasEnded = (shardId: string): boolean => {
    const progress = progresses.get(taskOfShard(stream.stream, shardId))
    const work = progress?.recorded?.work
    return work?.type === 'partition' && work.state.ended
  }
  const places = ids.map((shardId): Place => {
    const task = taskOfShard(stream.stream, shardId)
    const progress = progresses.get(task) ?? null
    const recorded = positionOf(progress?.recorded ?? null)
    const published = positionOf(progress?.published ?? null)
    const isWaiting = recorded === null && !(parents.get(shardId) ?? []).every(hasEnded)
    const isListed = listedIds.has(shardId)
    const note = isWaiting ? 'waiting' : noteOf({ recorded, published, isListed, ...facts })
    const begin = beginOf(decided, shardId)
    return { task, shardId, progress, recorded, published, note, begin, isListed }
  })
  // Those that are over, and that the stream has forgotten.
  return places.filter(({ note, isListed }) => isListed || note !== 'ended')
}

interface NoteFacts {
  readonly recorded: KinesisPosition | null
  readonly published: KinesisPosition | null
  readonly isListed: boolean
  readonly stream: StreamFacts
  readonly nowMs: number
}

function noteOf({ recorded, published, isListed, stream, nowMs }: NoteFacts): ShardNote | null {
  if (recorded === null) return isListed ? 'unread' : 'expired'
  if (recorded.createdMs !== stream.createdMs) return 'recreated'
  if (recorded.place.kind === 'end') return published?.place.kind === 'end' ? 'ended' : null
  return !isListed || recorded.asOfMs < nowMs - stream.retentionMs ? 'expired' : null
}

/** One bounded read, from what is published on; where nothing is, from what is recorded, else from the beginning of the shard. */
async function measure(
  { api, recordsMax, retry: { clock } }: StreamLagSources,
  stream: string,
  place: Place,
): Promise<Measured> {
  const { progress, published, recorded, note, shardId, begin } = place
  const from = published !== null ? progress!.published : recorded !== null ? progress!.recorded : null
  const isStrange = note === 'expired' || note === 'recreated'
  const start = isStrange ? TRIM : ((published ?? recorded)?.place ?? begin)
  if (!place.isListed) return { place, from, tail: { ...NO_TAIL, isExact: note !== 'expired' } }
  const tail = await readTail(api, { stream, shardId }, start, { recordsMax, clock })
  return { place, from, tail: isStrange ? { ...tail, isExact: false } : tail }
}

function lagOf(
  { recorded, published, progress, note }: Place,
  tail: ShardTail,
  from: DataRecord | null,
): ShardMeasure {
  // Where nothing is published, the tail begins behind what is recorded: that is to be published too.
  const isFromRecorded = published === null && recorded !== null
  const unpublished = isFromRecorded ? totalOf(from) : 0
  const recordedBehind = published === null || recorded === null ? 0 : recorded.offset - published.offset
  const unrecorded = Math.max(0, tail.records - recordedBehind)
  const recordedMs = arrivalOf(progress?.recorded ?? null)
  return {
    lagRecords: tail.records + unpublished,
    lagMs: tail.behindMs,
    isExact: tail.isExact,
    unrecorded,
    unrecordedMs: unrecorded === 0 ? 0 : sinceMs(tail, recordedBehind === 0 ? null : recordedMs),
    recordedOffset: recorded?.offset ?? null,
    publishedOffset: published?.offset ?? null,
    note,
  }
}

/**
 * What lies behind another record of the shard's chain, without reading it again: offsets count records, and for the time the last arrival before it has to do, so that
 * it may be a little too long.
 */
function reachFrom({ place, tail, from }: Measured, record: DataRecord | null): Reach {
  const at = positionOf(record)
  const base = positionOf(from)
  const between = base === null ? 0 : at === null ? totalOf(from) : base.offset - at.offset
  const lagRecords = Math.max(0, tail.records + between)
  if (lagRecords === 0) return { lagRecords, lagMs: 0 }
  if (between === 0) return { lagRecords, lagMs: tail.behindMs }
  const newestMs = tail.newestMs ?? arrivalOf(place.progress?.recorded ?? null)
  const lastMs = arrivalOf(record)
  return { lagRecords, lagMs: newestMs === null || lastMs === null ? null : Math.max(0, newestMs - lastMs) }
}

function sinceMs(tail: ShardTail, lastMs: number | null): number {
  return lastMs === null || tail.newestMs === null ? tail.behindMs : Math.max(0, tail.newestMs - lastMs)
}

/** Records that a shard's task has read. */
function totalOf(record: DataRecord | null): number {
  return record?.work.type === 'partition' ? record.work.state.totals.records : 0
}

/** Of the last record that was read. */
function arrivalOf(record: DataRecord | null): number | null {
  const arrivalMs = record?.work.type === 'partition' ? record.work.state.lastArrivalMs : -Infinity
  return Number.isFinite(arrivalMs) ? arrivalMs : null
}

/** Null in the history of a backfill: nothing of the stream is read then. */
function positionOf(record: DataRecord | null): KinesisPosition | null {
  const position = record?.work.type === 'partition' ? record.work.state.position : null
  return position !== null && isKinesisPosition(position) ? parseKinesisPosition(position) : null
}
