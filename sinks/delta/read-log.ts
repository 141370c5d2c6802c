import { assert, messageOf, PipelineError } from '../../src/errors.ts'
import type { ObjectStore } from '../../src/ports.ts'
import type { Action } from './actions.ts'
import { parseActions } from './actions.ts'
import { readCheckpoint } from './checkpoint-read.ts'
import type { LogListing } from './log-keys.ts'
import { beforeVersion, commitKey, lastCheckpointKey, logPrefix, readListing } from './log-keys.ts'
import { applyActions, NO_TABLE } from './snapshot.ts'
import type { Snapshot } from './snapshot.ts'

/** A checkpoint this far ahead is read rather than the commits before it. */
const CATCH_UP_COMMITS_MAX = 20
const COMMITS_AT_ONCE = 16

/**
 * Brings a snapshot up to the newest version of the log, reading only what is new. From NO_TABLE it starts at the last
 * checkpoint. Errors: TABLE_LOG_BROKEN (a version is missing or cannot be parsed), TABLE_UNSUPPORTED.
 */
export async function readLog(store: ObjectStore, table: string, known: Snapshot): Promise<Snapshot> {
  const listFrom = known.version >= 0 ? known.version : await lastCheckpointVersion(store, table)
  let listing = await listLog(store, table, listFrom)
  let base = await baseSnapshot(store, table, known, listing)
  if (base instanceof PipelineError) {
    // A checkpoint repeats the commits before it: where these are all there, a damaged one does no harm.
    listing = await listLog(store, table, 0)
    if (!listing.commits.has(known.version + 1)) throw base
    base = known
  }
  const newest = Math.max(base.version, listing.newestCommit)
  if (known.version >= 0 && !listing.commits.has(known.version) && newest === known.version) {
    throw brokenLog(table, `version ${known.version}, which was there before, is gone`)
  }
  let snapshot = base
  for (let version = base.version + 1; version <= newest; version += COMMITS_AT_ONCE) {
    const last = Math.min(newest, version + COMMITS_AT_ONCE - 1)
    snapshot = await applyCommits(store, table, snapshot, listing, last)
  }
  return snapshot
}

async function listLog(store: ObjectStore, table: string, fromVersion: number): Promise<LogListing> {
  const list = async (startAfter?: string) =>
    readListing((await store.list(logPrefix(table), startAfter)).map((object) => object.key))
  if (fromVersion <= 0) return list()
  const listing = await list(beforeVersion(table, fromVersion))
  // `_last_checkpoint` is a hint. Where what it names is gone, everything is listed.
  const usable = listing.commits.has(fromVersion) || listing.checkpoint !== null
  return usable ? listing : list()
}

/** -1 where the hint is missing or cannot be read. */
async function lastCheckpointVersion(store: ObjectStore, table: string): Promise<number> {
  const body = await store.get(lastCheckpointKey(table))
  if (body === null) return -1
  try {
    const { version } = JSON.parse(new TextDecoder().decode(body)) as { version?: unknown }
    return Number.isSafeInteger(version) ? (version as number) : -1
  } catch {
    return -1
  }
}

/** The state to go on from: what is known, or a checkpoint where that is nearer or the commits between are gone. */
async function baseSnapshot(
  store: ObjectStore,
  table: string,
  known: Snapshot,
  { commits, checkpoint }: LogListing,
): Promise<Snapshot | PipelineError> {
  if (checkpoint === null || checkpoint.version <= known.version) return known
  const isFar = checkpoint.version - known.version > CATCH_UP_COMMITS_MAX
  if (known.version >= 0 && !isFar && commits.has(known.version + 1)) return known
  const actions: Action[] = []
  for (const key of checkpoint.keys) {
    const body = await store.get(key)
    try {
      assert(body !== null, `${key} is gone`)
      for (const action of await readCheckpoint(body)) actions.push(action)
    } catch (error) {
      const why = `the checkpoint of version ${checkpoint.version} cannot be read: ${messageOf(error)}`
      return brokenLog(table, why, error)
    }
  }
  return applyActions(table, NO_TABLE, checkpoint.version, actions)
}

async function applyCommits(
  store: ObjectStore,
  table: string,
  from: Snapshot,
  listing: LogListing,
  lastVersion: number,
): Promise<Snapshot> {
  const versions = Array.from({ length: lastVersion - from.version }, (_, index) => from.version + 1 + index)
  const missing = versions.find((version) => !listing.commits.has(version))
  if (missing !== undefined) {
    throw brokenLog(table, `version ${missing} is missing, though version ${listing.newestCommit} is there`)
  }
  const commits = await Promise.all(versions.map((version) => readCommit(store, table, version)))
  let snapshot = from
  for (const [index, actions] of commits.entries()) {
    snapshot = applyActions(table, snapshot, versions[index]!, actions)
  }
  return snapshot
}

async function readCommit(store: ObjectStore, table: string, version: number): Promise<readonly Action[]> {
  const body = await store.get(commitKey(table, version))
  if (body === null) throw brokenLog(table, `version ${version} is listed but cannot be read`)
  try {
    return parseActions(new TextDecoder('utf-8', { fatal: true }).decode(body))
  } catch (error) {
    throw brokenLog(table, `version ${version} cannot be parsed: ${messageOf(error)}`, error)
  }
}

function brokenLog(table: string, why: string, cause?: unknown): PipelineError {
  return new PipelineError('TABLE_LOG_BROKEN', `The log of table ${table} is broken: ${why}.`, {
    advice:
      'Restore its `_delta_log` folder from a copy, or move the table away and start again with --fresh.',
    cause,
  })
}
