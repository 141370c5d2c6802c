import { unreachable } from '../errors.ts'
import type { DataRecord } from '../checkpoint/record.ts'
import type { TaskProgress } from './chain-facts.ts'
import { isoTimeOf } from './format.ts'

/** Why windows are still open, as `millrace windows --json` prints it. Times are ISO 8601, spans milliseconds. */
export interface WindowsReport {
  readonly pipeline: string
  readonly incarnation: number
  readonly at: string
  readonly merges: readonly MergeHold[]
  readonly windows: readonly OpenWindow[]
}

/** A merge task, and the tasks that it waits for, slowest first. */
export interface MergeHold {
  readonly task: string
  readonly watermark: string | null
  readonly watermarkMs: number
  readonly owner: string | null
  readonly epochAgeMs: number | null
  /** Those whose watermark is that of the merge, or that hold it at the beginning. */
  readonly heldBackBy: readonly string[]
  readonly sources: readonly SourceHold[]
}

export interface SourceHold {
  readonly task: string
  readonly state: SourceState
  /** As its own chain says. */
  readonly watermark: string | null
  readonly watermarkMs: number
  /** As the merge knows it: it may have epochs to fold. */
  readonly foldedWatermarkMs: number
  readonly epochsToFold: number
  /** How far before the slowest that is waited for. */
  readonly aheadMs: number
  /** Since when, by the time of its records, its watermark has stood where it is. */
  readonly since: string | null
  readonly epochAgeMs: number | null
  readonly lastArrival: string | null
  /** Records in the topic that are not read. Null where no broker was asked. */
  readonly unread: number | null
  readonly owner: string | null
}

/**
 * unheard: nothing is recorded of it yet. waiting: nor can it be, before the shards that it follows have come to their ends. handed-on: a shard that has ended, and those
 * that follow it have not begun. quiet: everything is read, and nothing calls it idle. silent: it has recorded nothing for a while, so its
 * owner may be down. waiting, idle and ended
 * partitions are not waited for.
 */
export type SourceState =
  | 'unheard'
  | 'waiting'
  | 'reading'
  | 'quiet'
  | 'silent'
  | 'handed-on'
  | 'idle'
  | 'ended'

/** A window of the program, and what its merge has to reach for it to close. */
export interface OpenWindow {
  readonly result: string
  readonly task: string
  readonly start: string | null
  readonly end: string
  /** W at which its result is final. */
  readonly closesAt: string
  readonly toGoMs: number
  /** Sources that have not reached that. */
  readonly waitsFor: readonly string[]
}

/** What is known of a source from outside its chain's newest record. */
export interface SourceFacts {
  readonly progress: TaskProgress
  readonly sinceMs: number | null
  readonly unread: number | null
  /** False where others are waited for in its place: those that it follows, or that follow it. */
  readonly isItsTurn: boolean
}

export function sourceHold(
  { progress, sinceMs, unread, isItsTurn }: SourceFacts,
  folded: { readonly epoch: number; readonly watermarkMs: number },
  slowestMs: number,
  nowMs: number,
  silentAfterMs: number,
): SourceHold {
  const { task, recorded, owner } = progress
  const state = stateOf(recorded)
  const watermarkMs = state.watermarkMs
  const epochAgeMs = recorded === null ? null : Math.max(0, nowMs - recorded.writtenMs)
  return {
    task,
    state: sourceState(recorded, unread, isItsTurn, epochAgeMs, silentAfterMs),
    watermark: isoTimeOf(watermarkMs),
    watermarkMs,
    foldedWatermarkMs: folded.watermarkMs,
    epochsToFold: Math.max(0, (recorded?.epoch ?? -1) - folded.epoch),
    aheadMs: difference(watermarkMs, slowestMs),
    since: isoTimeOf(sinceMs),
    epochAgeMs,
    lastArrival: isoTimeOf(state.lastArrivalMs),
    unread,
    owner,
  }
}

function sourceState(
  recorded: DataRecord | null,
  unread: number | null,
  isItsTurn: boolean,
  epochAgeMs: number | null,
  silentAfterMs: number,
): SourceState {
  if (recorded === null || epochAgeMs === null) return isItsTurn ? 'unheard' : 'waiting'
  const { idle, ended, isHandedOn } = stateOf(recorded)
  if (ended) return isHandedOn && isItsTurn ? 'handed-on' : 'ended'
  if (idle) return 'idle'
  if (unread === 0) return 'quiet'
  return epochAgeMs > silentAfterMs ? 'silent' : 'reading'
}

/** What a task's newest record says of its time. */
export function stateOf(recorded: DataRecord | null): {
  readonly watermarkMs: number
  readonly lastArrivalMs: number
  readonly idle: boolean
  readonly ended: boolean
  readonly isHandedOn: boolean
} {
  const unheard = {
    watermarkMs: -Infinity,
    lastArrivalMs: -Infinity,
    idle: false,
    ended: false,
    isHandedOn: false,
  }
  if (recorded === null) return unheard
  const { work } = recorded
  switch (work.type) {
    case 'partition': {
      const { watermarkMs, lastArrivalMs, idle, ended, successors = [] } = work.state
      return { watermarkMs, lastArrivalMs, idle, ended, isHandedOn: successors.length > 0 }
    }
    case 'merge': {
      const { downstreamWatermarkMs: watermarkMs, sources } = work.state
      const ended = Object.values(sources).every((source) => source.ended)
      return { ...unheard, watermarkMs, ended }
    }
    default:
      return unreachable(work)
  }
}

/** Those that are waited for, and stand lowest. */
export function heldBackBy(sources: readonly SourceHold[]): readonly string[] {
  const waited = sources.filter(isWaitedFor)
  const slowestMs = Math.min(...waited.map(({ foldedWatermarkMs }) => foldedWatermarkMs))
  return waited
    .filter(({ foldedWatermarkMs }) => foldedWatermarkMs === slowestMs && slowestMs !== Infinity)
    .map(({ task }) => task)
}

export function isWaitedFor({ state }: SourceHold): boolean {
  return state !== 'idle' && state !== 'ended' && state !== 'waiting'
}

export function openWindow(
  merge: MergeHold,
  result: string,
  span: { readonly startMs: number | null; readonly endMs: number; readonly allowedLatenessMs: number },
): OpenWindow {
  const closesMs = span.endMs + span.allowedLatenessMs
  return {
    result,
    task: merge.task,
    start: isoTimeOf(span.startMs),
    end: isoTimeOf(span.endMs) ?? '',
    closesAt: isoTimeOf(closesMs) ?? '',
    toGoMs: Math.max(0, difference(closesMs, merge.watermarkMs)),
    waitsFor: merge.sources
      .filter((source) => isWaitedFor(source) && source.foldedWatermarkMs < closesMs)
      .map(({ task }) => task),
  }
}

/** Infinities stand for "not yet" and "for ever". */
function difference(leftMs: number, rightMs: number): number {
  return leftMs === rightMs ? 0 : leftMs - rightMs
}
