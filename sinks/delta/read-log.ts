import { messageOf, PipelineError } from '../../src/errors.ts'
import type { ObjectStore } from '../../src/ports.ts'
import type { Action } from './actions.ts'
import { parseActions } from './actions.ts'
import { FILE_COLUMNS, HEAD_COLUMNS, readCheckpoint } from './checkpoint-read.ts'
import { type CheckpointHint, readCheckpointHint } from './checkpoint-hint.ts'
import type { CheckpointFiles, LogListing } from './log-keys.ts'
import { beforeVersion, commitKey, logPrefix, readListing } from './log-keys.ts'
import { applyCommit, type LogState, NO_LOG, rebased, stateOfCheckpoint } from './log-state.ts'
import { type Snapshot, snapshotOf } from './snapshot.ts'

/** A checkpoint this far ahead is read rather than the commits before it. */
const CATCH_UP_COMMITS_MAX = 20
const COMMITS_AT_ONCE = 16

/**
 * Brings a state up to the newest version of the log, reading only what is new. From NO_LOG it starts at the last
 * checkpoint. Errors: TABLE_LOG_BROKEN (a version is missing or cannot be parsed), TABLE_UNSUPPORTED.
 */
export async function readLog(store: ObjectStore, table: string, known: LogState): Promise<LogState> {
  const hint = known.version >= 0 ? null : await readCheckpointHint(store, table)
  let listing = await listLog(store, table, known.version >= 0 ? known.version : (hint?.version ?? -1))
  let base = await baseState(store, table, known, listing, hint)
  if (base instanceof PipelineError) {
    // A checkpoint repeats the commits before it: where these are all there, a damaged one does no harm.
    listing = { ...(await listLog(store, table, 0)), checkpoint: null }
    if (!listing.commits.has(known.version + 1)) throw base
    base = known
  }
  const newest = Math.max(base.version, listing.newestCommit)
  if (known.version >= 0 && !listing.commits.has(known.version) && newest === known.version) {
    throw brokenLog(table, `version ${known.version}, which was there before, is gone`)
  }
  let state = base
  for (let version = base.version + 1; version <= newest; version += COMMITS_AT_ONCE) {
    const last = Math.min(newest, version + COMMITS_AT_ONCE - 1)
    state = await applyCommits(store, table, state, listing, last)
  }
  const { checkpoint } = listing
  const isNewer = checkpoint !== null && checkpoint.version > (state.base?.version ?? -1)
  return isNewer && checkpoint.version <= state.version ? rebased(state, checkpoint) : state
}

/** A state with its files; that of a newer version where the log has moved on and its checkpoint is gone. */
export async function readFiles(
  store: ObjectStore,
  table: string,
  state: LogState,
): Promise<{ readonly state: LogState; readonly snapshot: Snapshot }> {
  try {
    return await withFiles(store, table, state)
  } catch (error) {
    if (error instanceof PipelineError && error.code !== 'TABLE_LOG_BROKEN') throw error
    const fresh = await readLog(store, table, NO_LOG)
    if (fresh.base !== null && fresh.base.version !== state.base?.version)
      return withFiles(store, table, fresh)
    // The checkpoint itself is damaged.
    const listing = { ...(await listLog(store, table, 0)), checkpoint: null }
    if (!listing.commits.has(0)) throw error
    return withFiles(store, table, await applyCommits(store, table, NO_LOG, listing, listing.newestCommit))
  }
}

async function withFiles(
  store: ObjectStore,
  table: string,
  state: LogState,
): Promise<{ readonly state: LogState; readonly snapshot: Snapshot }> {
  const actions = state.base === null ? [] : await readParts(store, table, state.base, FILE_COLUMNS)
  const snapshot = snapshotOf(table, state, actions)
  return { state: { ...state, fileCount: snapshot.files.size }, snapshot }
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

/** The state to go on from: what is known, or a checkpoint where that is nearer or the commits between are gone. */
async function baseState(
  store: ObjectStore,
  table: string,
  known: LogState,
  { commits, checkpoint }: LogListing,
  hint: CheckpointHint | null,
): Promise<LogState | PipelineError> {
  if (checkpoint === null || checkpoint.version <= known.version) return known
  const isFar = checkpoint.version - known.version > CATCH_UP_COMMITS_MAX
  if (known.version >= 0 && !isFar && hasAll(commits, known.version + 1, checkpoint.version)) return known
  try {
    const actions = await readParts(store, table, checkpoint, HEAD_COLUMNS)
    const fileCount = hint?.version === checkpoint.version ? hint.fileCount : null
    return stateOfCheckpoint(table, checkpoint, actions, fileCount)
  } catch (error) {
    if (error instanceof PipelineError && error.code === 'TABLE_LOG_BROKEN') return error
    throw error
  }
}

function hasAll(commits: ReadonlySet<number>, first: number, last: number): boolean {
  for (let version = first; version <= last; version++) if (!commits.has(version)) return false
  return true
}

async function readParts(
  store: ObjectStore,
  table: string,
  checkpoint: CheckpointFiles,
  columns: readonly string[],
): Promise<readonly Action[]> {
  try {
    return await readCheckpoint(store, checkpoint, columns)
  } catch (error) {
    if (error instanceof PipelineError) throw error
    const why = `the checkpoint of version ${checkpoint.version} cannot be read: ${messageOf(error)}`
    throw brokenLog(table, why, error)
  }
}

async function applyCommits(
  store: ObjectStore,
  table: string,
  from: LogState,
  listing: LogListing,
  lastVersion: number,
): Promise<LogState> {
  const versions = Array.from({ length: lastVersion - from.version }, (_, index) => from.version + 1 + index)
  const missing = versions.find((version) => !listing.commits.has(version))
  if (missing !== undefined) {
    throw brokenLog(table, `version ${missing} is missing, though version ${listing.newestCommit} is there`)
  }
  const commits = await Promise.all(versions.map((version) => readCommit(store, table, version)))
  let state = from
  for (const [index, actions] of commits.entries()) {
    state = applyCommit(table, state, versions[index]!, actions)
  }
  return state
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
