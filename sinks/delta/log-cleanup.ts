import type { ObjectStore } from '../../src/ports.ts'
import { parseActions } from './actions.ts'
import { readCheckpointHint } from './checkpoint-hint.ts'
import { commitKey, completeCheckpoints, logFileVersion, logPrefix } from './log-keys.ts'

const DELETES_AT_ONCE = 16

/**
 * Deletes commits and checkpoints that nobody needs who reads a version younger than `cutoffMs`: those below the newest complete
 * checkpoint that is older, and not newer than the one readers are pointed to. Oldest first. Returns how many.
 * docs/decisions/0006-old-log-files.md says what makes that safe beside writers that have slept.
 */
export async function cleanLog(
  store: ObjectStore,
  table: string,
  cutoffMs: number,
  deletesMax: number,
): Promise<number> {
  const hint = await readCheckpointHint(store, table)
  if (hint === null) return 0
  const keys = (await store.list(logPrefix(table))).map(({ key }) => key)
  const checkpoints = completeCheckpoints(keys)
    .map(({ version }) => version)
    .filter((version) => version <= hint.version)
  const first = await newestBefore(store, table, checkpoints, cutoffMs)
  if (first === null) return 0
  const old = keys.filter((key) => (logFileVersion(key) ?? Infinity) < first).slice(0, deletesMax)
  for (let index = 0; index < old.length; index += DELETES_AT_ONCE) {
    await Promise.all(old.slice(index, index + DELETES_AT_ONCE).map((key) => store.delete(key)))
  }
  return old.length
}

/** Of ascending versions, the newest that was committed before `cutoffMs`; null where none was. */
async function newestBefore(
  store: ObjectStore,
  table: string,
  versions: readonly number[],
  cutoffMs: number,
): Promise<number | null> {
  let low = 0
  let high = versions.length
  while (low < high) {
    const middle = (low + high) >> 1
    const committedMs = await committedMsOf(store, table, versions[middle]!)
    // A commit that is gone was deleted because it was old.
    if (committedMs === null || committedMs < cutoffMs) low = middle + 1
    else high = middle
  }
  return low === 0 ? null : versions[low - 1]!
}

/** By the commit itself: not every store tells when an object was put. */
async function committedMsOf(store: ObjectStore, table: string, version: number): Promise<number | null> {
  const body = await store.get(commitKey(table, version))
  if (body === null) return null
  const info = parseActions(new TextDecoder().decode(body)).find(({ commitInfo }) => commitInfo !== undefined)
  const timestamp = info?.commitInfo?.['timestamp']
  // Without a time it may be as young as can be.
  return typeof timestamp === 'number' ? timestamp : Infinity
}
