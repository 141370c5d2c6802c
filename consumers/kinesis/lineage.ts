import { PipelineError } from '../../src/errors.ts'
import type { ShardFacts } from '../../src/kinesis/api.ts'
import type { PositionPlace } from './position.ts'

/**
 * Where a new pipeline begins. Sequence numbers are by the id of the shard ('shardId-000000000003').
 */
export type StreamStart =
  | 'earliest'
  | 'latest'
  | Date
  | { readonly sequenceNumbers: Readonly<Record<string, string>> }

/** Which shards of a stream a pipeline reads, as decided when it began. A shard that was not there then is read from its beginning. */
export interface Roots {
  /** Of the stream. */
  readonly createdMs: number
  readonly decidedMs: number
  /** Where each shard begins that was listed then and is read. */
  readonly begin: ReadonlyMap<string, PositionPlace>
  /** Listed then, and not read. */
  readonly unread: ReadonlySet<string>
  /** It was no beginning: the pipeline had read some of the stream in an earlier incarnation. */
  readonly goesOn?: true
}

export interface RootsFacts {
  readonly stream: string
  readonly createdMs: number
  /** As listed before `nowMs`: what comes later is then newer than both. */
  readonly shards: readonly ShardFacts[]
  readonly from: StreamStart
  /** Shards that the pipeline has read in already, in an earlier incarnation: what follows them is read from its beginning, whatever `from` says. */
  readonly known: ReadonlySet<string>
  readonly nowMs: number
}

const TRIM: PositionPlace = { kind: 'trim' }

/** Pure. Throws OPTION_INVALID where `from` names a shard that is not there, or a time that is still to come. */
export function decideRoots(facts: RootsFacts): Roots {
  const { createdMs, shards, from, known, nowMs } = facts
  checkStart(facts)
  const parentsOf = new Map(shards.map(({ shardId, parents }) => [shardId, parents]))
  const named = typeof from === 'object' && 'sequenceNumbers' in from ? from.sequenceNumbers : {}
  const before = ancestorsOf(Object.keys(named), parentsOf)
  const begin = new Map<string, PositionPlace>()
  const unread = new Set<string>()
  for (const shard of shards) {
    const { shardId } = shard
    const follows = [...ancestorsOf([shardId], parentsOf)].some((ancestor) => known.has(ancestor))
    const sequenceNumber = named[shardId]
    if (known.has(shardId) || follows) begin.set(shardId, TRIM)
    else if (sequenceNumber !== undefined) begin.set(shardId, { kind: 'at', sequenceNumber })
    else if (before.has(shardId) || (from === 'latest' && shard.isClosed)) unread.add(shardId)
    else if (from === 'latest') begin.set(shardId, { kind: 'time', timeMs: nowMs })
    else begin.set(shardId, from instanceof Date ? { kind: 'time', timeMs: from.getTime() } : TRIM)
  }
  return { createdMs, decidedMs: nowMs, begin, unread, ...(known.size > 0 && { goesOn: true }) }
}

/** A shard that is read. */
export interface ReadShard {
  readonly shardId: string
  /** Those of its parents that are read. */
  readonly parents: readonly string[]
}

/**
 * All shards that are read: those that are listed, and those that were to be read when the pipeline began and are gone. `known` as for `decideRoots`, and what has been
 * read in since: a parent that is neither that nor listed nobody waits for.
 */
export function readShards(
  { begin, unread }: Roots,
  listed: readonly ShardFacts[],
  known: ReadonlySet<string>,
): readonly ReadShard[] {
  const ids = new Set([...listed.map(({ shardId }) => shardId), ...begin.keys(), ...known])
  const isRead = (shardId: string): boolean => ids.has(shardId) && !unread.has(shardId)
  const there = listed
    .filter(({ shardId }) => isRead(shardId))
    .map(({ shardId, parents }) => ({ shardId, parents: parents.filter(isRead) }))
  const gone = new Set(begin.keys())
  for (const { shardId } of listed) gone.delete(shardId)
  for (const shardId of known) gone.delete(shardId)
  return [...there, ...[...gone].map((shardId) => ({ shardId, parents: [] }))]
}

/** Where a shard begins that nobody has read in. */
export function beginOf({ begin }: Roots, shardId: string): PositionPlace {
  return begin.get(shardId) ?? TRIM
}

function ancestorsOf(
  shardIds: readonly string[],
  parentsOf: ReadonlyMap<string, readonly string[]>,
): ReadonlySet<string> {
  const found = new Set<string>()
  const next = shardIds.flatMap((shardId) => parentsOf.get(shardId) ?? [])
  for (let shardId = next.pop(); shardId !== undefined; shardId = next.pop()) {
    if (found.has(shardId)) continue
    found.add(shardId)
    next.push(...(parentsOf.get(shardId) ?? []))
  }
  return found
}

/** By so much our clock may be behind the one that the time is from. */
const AHEAD_MS_MAX = 60_000

function checkStart({ stream, shards, from, nowMs }: RootsFacts): void {
  if (from === 'earliest' || from === 'latest') return
  if (from instanceof Date) {
    if (from.getTime() <= nowMs + AHEAD_MS_MAX) return
    throw new PipelineError(
      'OPTION_INVALID',
      `kinesis(): from is ${from.toISOString()}, which is still to come`,
      { advice: "Kinesis begins at a time that has passed. From now on: from: 'latest'." },
    )
  }
  const listed = shards.map(({ shardId }) => shardId)
  const missing = Object.keys(from.sequenceNumbers).find((shardId) => !listed.includes(shardId))
  if (missing === undefined) return
  throw new PipelineError(
    'OPTION_INVALID',
    `kinesis(): from names ${missing}, which stream ${stream} does not have`,
    { advice: `It has ${listed.join(', ')}.` },
  )
}
