import type { ObjectStore } from '../../src/ports.ts'
import { lastCheckpointKey } from './log-keys.ts'

/** `_last_checkpoint`: where readers look first. https://github.com/delta-io/delta/blob/master/PROTOCOL.md#last-checkpoint-file */
export interface CheckpointHint {
  readonly version: number
  /** Active files; null where its writer has not said. */
  readonly fileCount: number | null
}

/** Null where it is missing or cannot be read: it is only a hint. */
export async function readCheckpointHint(store: ObjectStore, table: string): Promise<CheckpointHint | null> {
  const body = await store.get(lastCheckpointKey(table))
  if (body === null) return null
  try {
    const { version, numOfAddFiles } = JSON.parse(new TextDecoder().decode(body)) as {
      version?: unknown
      numOfAddFiles?: unknown
    }
    if (!Number.isSafeInteger(version)) return null
    return {
      version: version as number,
      fileCount: Number.isSafeInteger(numOfAddFiles) ? (numOfAddFiles as number) : null,
    }
  } catch {
    return null
  }
}

export interface WrittenCheckpoint {
  readonly version: number
  /** Actions. */
  readonly size: number
  readonly parts: number
  readonly sizeInBytes: number
  readonly numOfAddFiles: number
}

/** Points readers to a checkpoint, unless they are pointed to a newer one: a slow writer does not send them back. */
export async function writeCheckpointHint(
  store: ObjectStore,
  table: string,
  checkpoint: WrittenCheckpoint,
): Promise<void> {
  const current = await readCheckpointHint(store, table)
  if (current !== null && current.version >= checkpoint.version) return
  const { parts, ...rest } = checkpoint
  const hint = { ...rest, ...(parts > 1 ? { parts } : {}) }
  await store.put(lastCheckpointKey(table), new TextEncoder().encode(JSON.stringify(hint)))
}
