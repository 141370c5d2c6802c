/** The names in `<table>/_delta_log/`. Versions have 20 digits, so that names sort as versions do. */

export function logPrefix(table: string): string {
  return `${table}/_delta_log/`
}

export function commitKey(table: string, version: number): string {
  return `${logPrefix(table)}${padded(version)}.json`
}

/** A checkpoint of one file, or part `part` (from 1 on) of several. */
export function checkpointKey(table: string, version: number, part = 1, parts = 1): string {
  const pieces = parts === 1 ? '' : `.${String(part).padStart(10, '0')}.${String(parts).padStart(10, '0')}`
  return `${logPrefix(table)}${padded(version)}.checkpoint${pieces}.parquet`
}

export function lastCheckpointKey(table: string): string {
  return `${logPrefix(table)}_last_checkpoint`
}

/** Sorts before all names of the version, and after those of the one before. */
export function beforeVersion(table: string, version: number): string {
  return `${logPrefix(table)}${padded(version)}`
}

function padded(version: number): string {
  return String(version).padStart(20, '0')
}

export interface CheckpointFiles {
  readonly version: number
  /** One key per part. */
  readonly keys: readonly string[]
}

export interface LogListing {
  readonly commits: ReadonlySet<number>
  /** -1 where there is none. */
  readonly newestCommit: number
  /** The newest one that is complete. */
  readonly checkpoint: CheckpointFiles | null
}

const COMMIT = /\/(\d{20})\.json$/
const CHECKPOINT = /\/(\d{20})\.checkpoint(?:\.(\d{10})\.(\d{10}))?\.parquet$/

/** Other names (checksums, compacted commits, `_last_checkpoint`) are left alone. */
export function readListing(keys: readonly string[]): LogListing {
  const commits = new Set<number>()
  let newestCommit = -1
  for (const key of keys) {
    const commit = COMMIT.exec(key)
    if (commit === null) continue
    commits.add(Number(commit[1]))
    newestCommit = Math.max(newestCommit, Number(commit[1]))
  }
  return { commits, newestCommit, checkpoint: completeCheckpoints(keys).at(-1) ?? null }
}

/** Those of which every part is there, ascending. */
export function completeCheckpoints(keys: readonly string[]): readonly CheckpointFiles[] {
  const groups = new Map<string, { version: number; parts: number; keys: string[] }>()
  for (const key of keys) {
    const checkpoint = CHECKPOINT.exec(key)
    if (checkpoint === null) continue
    const name = `${checkpoint[1]}/${checkpoint[3] ?? ''}`
    const group = groups.get(name) ?? {
      version: Number(checkpoint[1]),
      parts: Number(checkpoint[3] ?? 1),
      keys: [],
    }
    group.keys.push(key)
    groups.set(name, group)
  }
  return [...groups.values()]
    .filter((group) => group.keys.length === group.parts)
    .sort((a, b) => a.version - b.version)
}

/** The version of a commit, its checksum or a piece of a checkpoint; null for what is none of these. */
export function logFileVersion(key: string): number | null {
  const match = /\/(\d{20})\.(?:json|crc|checkpoint\.(?:\d{10}\.\d{10}\.)?parquet)$/.exec(key)
  return match === null ? null : Number(match[1])
}
