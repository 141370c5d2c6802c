import { PipelineError } from '../errors.ts'
import type { StagedName } from './keys.ts'
import { type ChainRecord, type DataRecord, snapshotKeys } from './record.ts'

/**
 * Which records and staged files of a chain nothing needs any more. Never by age or count: claims count as records, and would push the
 * state out. docs/decisions/0005-what-may-be-deleted.md says why each part of the rule is there.
 */

export interface RetentionRules {
  /** Records are deleted only below one that is published in every sink. */
  readonly deletePublishedOnly: boolean
  /** … and that no restore of the merge folds again. */
  readonly retainMergeSnapshot: boolean
}

/**
 * The epochs that count, of a chain as it was listed: contiguous up to its head. What lies below a hole was being deleted when a process died,
 * or was put by a sleeper into the place of a record that had been deleted.
 */
export function retainedEpochs(epochs: readonly number[]): readonly number[] {
  let first = epochs.length - 1
  while (first > 0 && epochs[first - 1] === epochs[first]! - 1) first--
  return epochs.slice(Math.max(first, 0))
}

/**
 * A chain loses its beginning only when every table of the task is marked at or above what is left. Where one is not, somebody else
 * has deleted records. `markers` holds the tables' txn of the task; `retained` is what `retainedEpochs` gave. Throws CHAIN_GAP.
 */
export function assertRetained(
  task: string,
  retained: readonly number[],
  markers: ReadonlyMap<string, number>,
): void {
  const first = retained[0] ?? 0
  if (first === 0) return
  for (const [path, marker] of markers) {
    if (marker >= first) continue
    throw new PipelineError(
      'CHAIN_GAP',
      `the chain of ${task} has no record ${first - 1}, and table ${path} has its epochs only up to ${marker}`,
      {
        advice:
          'The lake was changed by something else than Millrace. Restore the object, or begin again with --fresh.',
      },
    )
  }
}

/**
 * No record above this epoch may become the oldest that is needed. `last` is the newest data record, `sinks` all that the task writes to, `merged` the
 * epoch of the task that the newest snapshots of all merge tasks that read its chain contain: −1 where one has none, null where nobody reads it.
 */
export function retentionCeiling(
  last: DataRecord,
  sinks: readonly string[],
  merged: number | null,
  rules: RetentionRules,
): number {
  // Also what an earlier run wrote to, and this one does not.
  const paths = new Set([...sinks, ...Object.keys(last.published)])
  const published = [...paths].map((path) => last.published[path] ?? -1)
  const ceiling = rules.deletePublishedOnly ? Math.min(last.epoch, ...published) : last.epoch
  return merged === null ? ceiling : Math.min(ceiling, merged)
}

/** The oldest epoch that is needed: `base` is the newest data record at or below the ceiling. −1 where all are needed. */
export function oldestNeeded(base: DataRecord, rules: RetentionRules): number {
  if (base.work.type === 'partition' || !rules.retainMergeSnapshot) return base.epoch
  // What was folded since is folded again, in the order of the records.
  return base.work.snapshot?.epoch ?? -1
}

export interface RetentionFacts {
  /** As listed, ascending. */
  readonly epochs: readonly number[]
  /** What `oldestNeeded` gave. */
  readonly needed: number
  /** Records below it that are kept for people to look at. */
  readonly keepRecords: number
  /** Fewer are not worth the requests. */
  readonly recordsMin: number
}

export interface RetentionDecision {
  /** Every table's marker must be at least here before anything is deleted: a sleeper that puts a deleted epoch publishes nothing. */
  readonly raiseTo: number
  /** Records below this epoch go, and staged files that no kept record names. */
  readonly below: number
  /** Records to delete, oldest first: a crash in the middle leaves the newer ones. */
  readonly epochs: readonly number[]
}

/** Null where nothing is to be deleted. */
export function decideRetention(facts: RetentionFacts): RetentionDecision | null {
  const { needed, keepRecords, recordsMin } = facts
  const first = retainedEpochs(facts.epochs)[0]
  // A chain that does not have what is needed is damaged: nothing more is deleted from it.
  if (first === undefined || needed < first) return null
  const below = Math.max(needed - keepRecords, 0)
  const epochs = facts.epochs.filter((epoch) => epoch < below)
  return epochs.length < recordsMin ? null : { raiseTo: needed, below, epochs }
}

/** True for a staged file of a deleted epoch that no kept record names. */
export function isSpent(key: string, name: StagedName, below: number, named: ReadonlySet<string>): boolean {
  return name.epoch < below && !named.has(key)
}

/** The staged files that a record names. */
export function stagedKeysOf(record: ChainRecord): readonly string[] {
  if (record.kind !== 'data') return []
  const { work, outbox } = record
  const state = work.type === 'merge' ? snapshotKeys(work.snapshot) : work.dedupe
  const partials = work.partials ?? null
  return [
    ...(outbox === null || outbox === undefined ? [] : [outbox.key]),
    ...state,
    ...(partials === null ? [] : [partials]),
  ]
}
