import { ChainKeys } from '../checkpoint/keys.ts'
import { decodeUtf8, encodeUtf8 } from '../columns/utf8.ts'
import { PipelineError } from '../errors.ts'
import type { ObjectStore, StagedFile } from '../ports.ts'

/** What an incarnation reads before it goes on in its source. Part of its record, so that it is there from its first moment, and never changes. */
export interface IncarnationHistory {
  /** Whose rows they are. */
  readonly incarnation: number
  /** Bronze tables, by path, that keep their files: their rows are the history, and are not written again. */
  readonly tables: readonly string[]
  /** Of each partition task that had come anywhere: where its source goes on. */
  readonly positions: Readonly<Record<string, string>>
  /** Tasks without a position that those were handed on to: nobody had begun them. Absent: none. */
  readonly successors?: readonly string[]
  /** Names the lists of files, one for each of these tasks. */
  readonly lists: string
}

/** The files that have rows of one task. */
export interface HistoryList {
  readonly version: 1
  readonly files: readonly HistoryFile[]
}

export interface HistoryFile extends Pick<StagedFile, 'path' | 'partitionValues'> {
  readonly table: string
  /** The lowest offset that it may have; 0 where nobody knows. */
  readonly first: number
  /** The highest one. Absent where nobody knows. */
  readonly last?: number
  /** Rows below this offset do not count. Absent: all do. */
  readonly from?: number
}

export interface HistoryPlace {
  readonly store: ObjectStore
  readonly pipeline: string
  readonly history: IncarnationHistory
}

export function encodeHistoryList(files: readonly HistoryFile[]): Uint8Array {
  const list: HistoryList = { version: 1, files }
  return encodeUtf8(`${JSON.stringify(list)}\n`)
}

/** The files of a task, which the history must know. */
export async function readHistoryList(
  { store, pipeline, history }: HistoryPlace,
  task: string,
): Promise<readonly HistoryFile[]> {
  const key = ChainKeys.history(pipeline, history.lists, task)
  const body = await store.get(key)
  if (body === null) throw historyGone(`${key}, the list of files of ${task},`)
  return (JSON.parse(decodeUtf8(body)) as HistoryList).files
}

export function historyGone(what: string): PipelineError {
  return new PipelineError('HISTORY_GONE', `${what} is gone, and the backfill has not read it yet`, {
    advice:
      'A VACUUM, or something else than Millrace, has deleted it. Restore it, or begin again with --fresh, which reads what the source still has.',
  })
}
