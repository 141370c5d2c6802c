import { PipelineError } from '../errors.ts'
import { partKey } from './keys.ts'
import type { MergeState } from '../engine/merge-task.ts'
import type { PartitionState } from '../engine/partition-task.ts'
import type { RemovedFile, StagedFile } from '../ports.ts'

/**
 * The records of an epoch chain: immutable JSON, one per epoch, put only where there is none. docs/checkpoints.md describes them
 * field by field for those who read them without Millrace.
 */
export type ChainRecord = DataRecord | ClaimRecord | SealRecord

export const RECORD_VERSION = 1

interface RecordBase {
  readonly version: typeof RECORD_VERSION
  readonly pipeline: string
  readonly incarnation: number
  readonly task: string
  readonly epoch: number
  /** Names the writer of this very record: by it a put whose answer was lost is told from one that lost. */
  readonly nonce: string
  /** Correlation id of the run. */
  readonly run: string
  readonly writtenMs: number
}

/** Work: what the epoch read, what it staged, and the state after it. */
export interface DataRecord extends RecordBase {
  readonly kind: 'data'
  /** The process, for people: host and process id. */
  readonly owner?: string
  /** The epoch of the claim under which this was written. */
  readonly claim: number
  /** By table path. Relative to the table's folder. */
  readonly files: Readonly<Record<string, readonly StagedFile[]>>
  /** By table path: files of this task's earlier epochs that leave the table in the commit that adds `files`. Absent: none. */
  readonly removes?: Readonly<Record<string, readonly RemovedFile[]>>
  /** By table path: the newest epoch of this task that was known to be published when this was written. */
  readonly published: Readonly<Record<string, number>>
  readonly work: PartitionWork | MergeWork
  /** Messages for outside topics; null or absent where the epoch has none. */
  readonly outbox?: OutboxRef | null
  /** The newest epoch with messages that was known to be published when this was written: what the marker must at least say. */
  readonly outboxMarker?: number
}

/** In `published`, beside the tables' paths, which have a slash or are `dead_letters`. */
export const OUTBOX = 'outbox'

/** Staged messages, one JSON object a line. In `published` they have the path `outbox`. */
export interface OutboxRef {
  readonly key: string
  readonly messages: number
  readonly topics: readonly string[]
}

export interface PartitionWork {
  readonly type: 'partition'
  readonly state: PartitionState
  readonly records: number
  /** Keys of the staged dedupe sets: a snapshot, then changes, to be applied in this order. */
  readonly dedupe: readonly string[]
  /** Key of the staged partials: one line for each slice of the merge, `null` where the epoch has nothing for it. */
  readonly partials: string | null
}

export interface MergeWork {
  readonly type: 'merge'
  readonly state: MergeState
  /** What this epoch folded, in this order: all epochs of a task from `first` to `last`. */
  readonly folded: readonly FoldedEpochs[]
  /** The newest snapshot of the panes, of this epoch or an earlier one. Null before the first. */
  readonly snapshot: SnapshotRef | null
  /** The time at which it was cut: by the clock, or by the newest arrival that a replay knew of. Absent in records of before. */
  readonly nowMs?: number
  /** Key of the staged partials for the next stage of merge tasks, as a partition's. Absent or null: none. */
  readonly partials?: string | null
}

export interface FoldedEpochs {
  readonly task: string
  readonly first: number
  readonly last: number
}

/** The base and what has changed since, each in one object or more. A restore reads them in this order. */
export interface SnapshotRef extends SnapshotPart {
  /** The epoch up to which it goes. */
  readonly epoch: number
  /** Written since the base. Absent: nothing. */
  readonly changes?: readonly SnapshotPart[]
}

/** So much of a snapshot as was written at one time. */
export interface SnapshotPart {
  /** Of the first object; `partKey` names the others. */
  readonly key: string
  /** Objects. Absent: one. */
  readonly parts?: number
  /** Of all of them together. Absent where it was not said. */
  readonly bytes?: number
}

/** The objects of a snapshot, in the order of a restore. */
export function snapshotKeys(snapshot: SnapshotRef | null): readonly string[] {
  if (snapshot === null) return []
  return [snapshot, ...(snapshot.changes ?? [])].flatMap(({ key, parts = 1 }) =>
    Array.from({ length: parts }, (_, part) => partKey(key, part)),
  )
}

/** By which a new owner takes over. No work; moves no watermark. */
export interface ClaimRecord extends RecordBase {
  readonly kind: 'claim'
  /** The process, for people: host and process id. */
  readonly owner?: string
}

/** The end of a chain whose incarnation has been replaced: nobody claims past it. */
export interface SealRecord extends RecordBase {
  readonly kind: 'seal'
}

/** JSON text of a record. Infinities are the strings 'Infinity' and '-Infinity'. */
export function encodeRecord(record: ChainRecord): string {
  return `${JSON.stringify(record, writeInfinity)}\n`
}

/** Reads what `encodeRecord` wrote. Throws RECORD_UNREADABLE, naming the key. */
export function decodeRecord(key: string, text: string): ChainRecord {
  let record: { readonly version?: unknown }
  try {
    record = JSON.parse(text) as { readonly version?: unknown }
  } catch (error) {
    throw new PipelineError('RECORD_UNREADABLE', `checkpoint record ${key} is not JSON`, {
      cause: error,
      advice:
        'The lake was changed by something else than Millrace. Restore the object, or begin again with --fresh.',
    })
  }
  if (record.version !== RECORD_VERSION) {
    throw new PipelineError(
      'RECORD_VERSION',
      `checkpoint record ${key} has version ${JSON.stringify(record.version)}`,
      {
        advice: `This Millrace reads version ${RECORD_VERSION}. Run the version that wrote it, or begin again with --fresh.`,
      },
    )
  }
  return withInfiniteTimes(record as ChainRecord)
}

function writeInfinity(_key: string, value: unknown): unknown {
  return typeof value === 'number' && Math.abs(value) === Infinity ? String(value) : value
}

/** Only watermarks and arrivals can be infinite. Found by their place: elsewhere 'Infinity' may be a user's own text. */
function withInfiniteTimes(record: ChainRecord): ChainRecord {
  if (record.kind !== 'data') return record
  const { work } = record
  if (work.type === 'partition') {
    const { watermarkMs, lastArrivalMs } = work.state
    const times = { watermarkMs: timeOf(watermarkMs), lastArrivalMs: timeOf(lastArrivalMs) }
    return { ...record, work: { ...work, state: { ...work.state, ...times } } }
  }
  const sources = Object.entries(work.state.sources).map(
    ([task, source]) => [task, { ...source, watermarkMs: timeOf(source.watermarkMs) }] as const,
  )
  const { watermarkMs, downstreamWatermarkMs } = work.state
  const times = {
    watermarkMs: timeOf(watermarkMs),
    downstreamWatermarkMs: timeOf(downstreamWatermarkMs ?? -Infinity),
    sources: Object.fromEntries(sources),
  }
  const nowMs = work.nowMs === undefined ? {} : { nowMs: timeOf(work.nowMs) }
  return { ...record, work: { ...work, ...nowMs, state: { ...work.state, ...times } } }
}

function timeOf(value: number | string): number {
  return typeof value === 'string' ? Number(value) : value
}
