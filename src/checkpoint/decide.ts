import type { StagedName } from './keys.ts'
import type { OutboxMarker } from '../ports.ts'
import { type ChainRecord, type DataRecord, OUTBOX } from './record.ts'

/** Decisions about a chain, from facts that the runtime has read. Nothing here does anything. */

/** Where a claimant puts its claim. */
export type ClaimDecision =
  | { readonly kind: 'claim'; readonly epoch: number }
  /** The incarnation has been replaced. */
  | { readonly kind: 'sealed' }

/** `head` is the chain's newest record; null for an empty chain. */
export function decideClaim(head: ChainRecord | null): ClaimDecision {
  if (head === null) return { kind: 'claim', epoch: 0 }
  return head.kind === 'seal' ? { kind: 'sealed' } : { kind: 'claim', epoch: head.epoch + 1 }
}

/** A claim holds only where the list that the claimant restores from ends in it. */
export function claimHolds(epochs: readonly number[], claim: number): boolean {
  return epochs.at(-1) === claim
}

/** The first epoch that a claimant must read: below it everything was published when `last` was written. `sinks` are tables, and OUTBOX. */
export function redoFrom(last: DataRecord, sinks: readonly string[]): number {
  return Math.min(...sinks.map((path) => (last.published[path] ?? -1) + 1), last.epoch)
}

/** The data records of which a table may lack something, ascending. `markers` holds each table's txn of the task. */
export function decideRedo(
  records: readonly ChainRecord[],
  markers: ReadonlyMap<string, number>,
): readonly DataRecord[] {
  return records.filter(
    (record): record is DataRecord =>
      record.kind === 'data' &&
      changedTables(record).some((path) => (markers.get(path) ?? -1) < record.epoch),
  )
}

/** The tables to which an epoch adds files, or from which it takes some. */
export function changedTables({
  files,
  removes = {},
}: Pick<DataRecord, 'files' | 'removes'>): readonly string[] {
  const paths = new Set([...Object.keys(files), ...Object.keys(removes)])
  return [...paths].filter((path) => (files[path]?.length ?? 0) + (removes[path]?.length ?? 0) > 0)
}

export interface OutboxRedo {
  /** Records whose messages are not known to be published, ascending. */
  readonly pending: readonly DataRecord[]
  /** The newest epoch with messages that is known to be published; −1 for none of this incarnation. */
  readonly published: number
  /** The marker is missing, or older than what is known: pending epochs may be published all the same. */
  readonly isUnknown: boolean
}

export interface OutboxRules {
  /** A marker is compared by "at least": epochs without messages leave no marker. */
  readonly markerAtLeast: boolean
}

/**
 * What a claimant has to publish to outside topics. `records` is the chain's tail as `readTail` gave it, `marker` was read after the fence, `life` is
 * the incarnation's.
 */
export function decideOutboxRedo(
  records: readonly DataRecord[],
  marker: OutboxMarker | null,
  life: string,
  rules: OutboxRules,
): OutboxRedo {
  const last = records.at(-1)
  const known = last?.outboxMarker ?? -1
  const said = marker?.life === life ? marker.epoch : -1
  const published = Math.max(known, said)
  const below = last?.published[OUTBOX] ?? -1
  const pending = records.filter(({ epoch, outbox }) => {
    if (outbox === null || outbox === undefined || outbox.messages === 0 || epoch <= below) return false
    return rules.markerAtLeast ? epoch > published : epoch !== said
  })
  // Groups expire and are reset: a marker that is not there, or that says less than we know, says nothing.
  const isUnknown = marker?.life !== life || said < known
  return { pending, published, isUnknown }
}

/**
 * True where the chain itself says that its messages are published, so that nobody has to be asked. `records` is the chain's tail as
 * `readTail` gave it, for OUTBOX too.
 */
export function saysMessagesPublished(records: readonly ChainRecord[]): boolean {
  const data = records.filter((record) => record.kind === 'data')
  const said = data.at(-1)?.published[OUTBOX] ?? -1
  return data.every(({ epoch, outbox }) => (outbox?.messages ?? 0) === 0 || epoch <= said)
}

export interface OrphanFacts {
  /** The newest data record restored from; −1 where there is none. */
  readonly lastDataEpoch: number
  /** Our own claim. */
  readonly claim: number
  /** Every key that a listed record names. */
  readonly named: ReadonlySet<string>
}

/**
 * A staged file is an orphan when its epoch is above the last data record, its writer claimed before us, and no record names it.
 * "Record e exists and does not name the file" would not do: a sleeper's late put can make it true of a published file.
 */
export function isOrphan(key: string, name: StagedName, facts: OrphanFacts): boolean {
  return name.epoch > facts.lastDataEpoch && name.claim < facts.claim && !facts.named.has(key)
}
