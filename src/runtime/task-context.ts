import type { ChainKeys } from '../checkpoint/keys.ts'
import type { Plan } from '../engine/plan.ts'
import type {
  Clock,
  Entropy,
  Log,
  ObjectStore,
  Outbox,
  StagedFile,
  TableEncoder,
  TopicEncoder,
} from '../ports.ts'
import type { TableRows } from '../engine/partition-task.ts'
import type { StagedName } from '../checkpoint/keys.ts'
import { type Retry, retrying } from './retry.ts'
import type { ProtocolRules } from './rules.ts'
import type { TablePublisher } from './table-publisher.ts'

/** What all tasks of a run share. */
export interface TaskContext {
  readonly plan: Plan
  readonly pipeline: string
  readonly incarnation: number
  /** Of the incarnation: 1 is the one that it began with. Later ones have steps whose sources have a past without them. */
  readonly program: number
  /** The nonce of the incarnation's record: tells this lake's epochs from those of another with the same numbers. */
  readonly life: string
  readonly run: string
  /** This process, for people. */
  readonly owner: string
  readonly store: ObjectStore
  readonly encoder: TableEncoder
  readonly keys: ChainKeys
  readonly publishers: ReadonlyMap<string, TablePublisher>
  /** Of tables that only earlier runs wrote to: what their records promise is still published there. */
  readonly formerPublishers: ReadonlyMap<string, TablePublisher>
  /** The newest epoch of a task that a table has which is none of the program's; −1 for none. */
  readonly markerElsewhere: (path: string, appId: string) => Promise<number>
  /** Where dead letters go; null is the lake's table. */
  readonly deadLetters: { readonly outbox: Outbox; readonly topic: string } | null
  /** What results go to beside their tables. Encoders are in the order of `plan.topics`. */
  readonly topics: { readonly outbox: Outbox; readonly encoders: readonly TopicEncoder[] } | null
  readonly clock: Clock
  readonly entropy: Entropy
  readonly log: Log
  readonly retry: Retry
  readonly rules: ProtocolRules
}

/** Bytes that are to be in the store under this key before the epoch's record is put. */
export interface StagedObject {
  readonly key: string
  readonly body: Uint8Array
}

/** A table's files, encoded and named, not yet stored. */
export interface NamedFiles {
  readonly path: string
  readonly files: readonly { readonly file: StagedFile; readonly key: string; readonly body: Uint8Array }[]
}

/**
 * Encodes an epoch's rows at once, so that the task's columns are free again, and names the files: every name carries who made
 * it, because a sleeper's late upload must not overwrite its successor's.
 */
export function encodeTables(
  context: TaskContext,
  task: string,
  name: StagedName,
  tables: readonly TableRows[],
  cutMs: number,
): readonly NamedFiles[] {
  const { encoder, keys, pipeline } = context
  const tags = { 'millrace.pipeline': pipeline, 'millrace.task': task, 'millrace.epoch': String(name.epoch) }
  return tables.map(({ shape, batch, selection, count }) => {
    // A merge names a table also where an epoch only takes files out of it.
    const encoded = count === 0 ? [] : encoder.encode(shape, batch, selection, count)
    const files = encoded.map(({ body, rows, partitionValues, directory, stats }, index) => {
      const file = keys.file(task, nameOf(context, name), index, encoder.extension)
      const path = directory === '' ? file : `${directory}/${file}`
      const staged: StagedFile = {
        path: encodeLogPath(path),
        size: body.length,
        rows,
        partitionValues,
        stats,
        modifiedMs: cutMs,
        tags,
      }
      return { file: staged, key: `${shape.path}/${path}`, body }
    })
    return { path: shape.path, files }
  })
}

/** Names without an owner exist only where the simulator takes that rule out. */
export function nameOf(context: TaskContext, name: StagedName): StagedName {
  return context.rules.namesCarryOwner ? name : { epoch: name.epoch, claim: 0, nonce: 'x' }
}

/** Uploads of one epoch at once: a table with a thousand partitions has a thousand files, and no system so many open. */
const UPLOADS_MAX = 16

/**
 * Uploads files under their final names; nobody reads them yet. Twice is as good as once. When it settles, no upload is on its
 * way any more.
 */
export async function stageFiles(
  context: TaskContext,
  tables: readonly NamedFiles[],
  objects: readonly StagedObject[] = [],
): Promise<void> {
  const files: StagedObject[] = [...tables.flatMap((table) => table.files), ...objects]
  let next = 0
  const upload = async (): Promise<void> => {
    while (next < files.length) {
      const { key, body } = files[next++]!
      try {
        await putStaged(context, key, body)
      } catch (error) {
        next = files.length
        throw error
      }
    }
  }
  const uploads = await Promise.allSettled(Array.from({ length: UPLOADS_MAX }, upload))
  for (const result of uploads) if (result.status === 'rejected') throw result.reason
}

export function filesByTable(tables: readonly NamedFiles[]): Record<string, readonly StagedFile[]> {
  return Object.fromEntries(tables.map(({ path, files }) => [path, files.map(({ file }) => file)]))
}

/** The key of a file as a record or a log names it. */
export function keyOfFile(tablePath: string, file: Pick<StagedFile, 'path'>): string {
  return `${tablePath}/${decodeURIComponent(file.path)}`
}

/** Delta's paths are URIs: the key itself may hold '%' of Hive's own escaping. */
function encodeLogPath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/').replaceAll('%3D', '=')
}

/** Twice is as good as once. */
export function putStaged(context: TaskContext, key: string, body: Uint8Array): Promise<void> {
  return retrying(context.retry, `put ${key}`, () => context.store.put(key, body))
}
