import { tombstoneRetentionMs } from '../../sinks/delta/table-properties.ts'
import { type ReadTableState, readTable } from '../../sinks/delta/read-table.ts'
import { ChainKeys, epochOfRecordKey, parseStagedName } from '../checkpoint/keys.ts'
import type { ChainRecord } from '../checkpoint/record.ts'
import { stagedKeysOf } from '../checkpoint/retention.ts'
import type { ObjectStore, StoredObject } from '../ports.ts'
import { chainsOf, incarnationsOf, inTurn, listChain, pipelinesIn, readRecord } from './chain-records.ts'
import { isOldList, unreadHistory } from './unread-history.ts'

/** What a vacuum may delete, of one part of a lake. */
export interface VacuumPart {
  /** A table's path, or the folder of a pipeline's state. */
  readonly where: string
  readonly what: 'data files' | 'staged files' | 'state of a replaced incarnation'
  readonly objects: readonly StoredObject[]
}

/**
 * Files that nothing names and that are older than `cutoffMs`. A file's age is the store's word for it; where the store does not say,
 * nothing is old. Safe beside running pipelines, and beside processes that have slept: what an owner may still record stays, until another
 * one has claimed its task.
 */
export async function planVacuum(
  store: ObjectStore,
  tables: readonly string[],
  cutoffMs: number,
  nowMs: number,
): Promise<readonly VacuumPart[]> {
  const parts: VacuumPart[] = []
  const pipelines = await pipelinesIn(store)
  // Records are read after the files are listed: one that names a listed file is then found, however lately it was put.
  const listed = new Map<string, readonly StoredObject[]>()
  for (const path of tables) listed.set(path, await store.list(`${path}/`))
  const living = new LivingFiles()
  for (const pipeline of pipelines) {
    parts.push(...(await pipelineParts(store, pipeline, cutoffMs, living)))
  }
  for (const path of tables) {
    const table = await readTable(store, path)
    if (table === null) continue
    const objects = oldDataFiles(path, table, listed.get(path)!, cutoffMs, nowMs, living)
    parts.push({ where: path, what: 'data files', objects })
  }
  return parts.filter(({ objects }) => objects.length > 0)
}

/** What records name, and what an owner may still be about to record: it can have slept since it staged that, for however long. */
class LivingFiles {
  readonly named = new Set<string>()
  readonly #tasks: { readonly prefix: string; readonly claim: number; readonly lastEpoch: number }[] = []

  add(keys: ChainKeys, task: string, records: readonly ChainRecord[]): void {
    let claim = -1
    let lastEpoch = -1
    for (const record of records) {
      claim = Math.max(claim, record.kind === 'data' ? record.claim : record.epoch)
      if (record.kind !== 'data') continue
      lastEpoch = record.epoch
      for (const key of stagedKeysOf(record)) this.named.add(key)
      for (const [path, files] of Object.entries(record.files)) {
        for (const file of files) this.named.add(`${path}/${decodeURIComponent(file.path)}`)
      }
    }
    for (const prefix of [keys.stagedPrefix(task), `/${keys.filePrefix(task)}`]) {
      this.#tasks.push({ prefix, claim, lastEpoch })
    }
  }

  has(key: string): boolean {
    if (this.named.has(key)) return true
    for (const { prefix, claim, lastEpoch } of this.#tasks) {
      const name = parseStagedName(key, prefix)
      if (name !== null) return name.claim >= claim && name.epoch > lastEpoch
    }
    return false
  }
}

/** Of every pipeline: staged files, and the state of incarnations that are over. */
async function pipelineParts(
  store: ObjectStore,
  pipeline: string,
  cutoffMs: number,
  living: LivingFiles,
): Promise<readonly VacuumPart[]> {
  const parts: VacuumPart[] = []
  const incarnations = await incarnationsOf(store, pipeline)
  const newest = incarnations.at(-1)!
  for (const { incarnation } of incarnations) {
    const keys = new ChainKeys(pipeline, incarnation)
    const where = keys.root.slice(0, -1)
    if (incarnation === newest.incarnation) {
      for (const key of await unreadHistory(store, newest)) living.named.add(key)
      const objects = await oldStaged(store, keys, cutoffMs, living)
      parts.push({ where, what: 'staged files', objects })
    } else {
      const objects = await oldIncarnation(store, keys, cutoffMs)
      parts.push({ where, what: 'state of a replaced incarnation', objects })
    }
  }
  const prefix = ChainKeys.historyPrefix(pipeline)
  const lists = (await store.list(prefix)).filter((object) => isOlder(object, cutoffMs))
  const objects = lists.filter(({ key }) => isOldList(key, pipeline, newest.history))
  parts.push({ where: prefix.slice(0, -1), what: 'state of a replaced incarnation', objects })
  return parts
}

/** Staged files of a living incarnation that no record names, and that nobody can record any more. */
async function oldStaged(
  store: ObjectStore,
  keys: ChainKeys,
  cutoffMs: number,
  living: LivingFiles,
): Promise<readonly StoredObject[]> {
  const old: StoredObject[] = []
  for (const { task } of await chainsOf(store, keys)) {
    const prefix = keys.stagedPrefix(task)
    const staged = (await store.list(prefix)).filter((object) => isOlder(object, cutoffMs))
    const { epochs } = await listChain(store, keys, task)
    const records = await inTurn(epochs, (epoch) => readRecord(store, keys, task, epoch))
    living.add(
      keys,
      task,
      records.filter((record) => record !== null),
    )
    old.push(...staged.filter(({ key }) => parseStagedName(key, prefix) !== null && !living.has(key)))
  }
  return old
}

/** All but the seals: a process of that incarnation which wakes up must find its chain ended. */
async function oldIncarnation(
  store: ObjectStore,
  keys: ChainKeys,
  cutoffMs: number,
): Promise<readonly StoredObject[]> {
  const chains = await chainsOf(store, keys)
  const heads = await inTurn(chains, async ({ task, epochs }) => {
    const head = epochs.at(-1)
    return head === undefined ? null : readRecord(store, keys, task, head)
  })
  // Not over yet, or only lately: a start with --fresh may have been interrupted.
  if (!heads.every((head) => head?.kind === 'seal' && head.writtenMs < cutoffMs)) return []
  const seals = new Set(heads.map((head) => keys.record(head!.task, head!.epoch)))
  const objects = await store.list(keys.root)
  return objects.filter((object) => {
    if (seals.has(object.key) || !isOlder(object, cutoffMs)) return false
    // Letters that were too large for their topic are for people to read, for as long as they like.
    const isState = [`${keys.root}_staged/`, keys.leasePrefix].some((prefix) => object.key.startsWith(prefix))
    return isState || epochOfRecordKey(object.key) !== null
  })
}

/** Parquet of whomever, and what has a name of ours. */
const DATA_FILE = /\.parquet$|-\d{12}-\d{12}-[0-9a-z]+-\d+\.\w+$/

function oldDataFiles(
  path: string,
  table: ReadTableState,
  objects: readonly StoredObject[],
  cutoffMs: number,
  nowMs: number,
  living: LivingFiles,
): readonly StoredObject[] {
  const prefix = `${path}/`
  const active = new Set([...table.files.keys()].map((file) => prefix + decodeURIComponent(file)))
  const keepMs = nowMs - tombstoneRetentionMs(table.configuration)
  const removed = new Set<string>()
  for (const [file, { deletionTimestamp }] of table.tombstones) {
    if ((deletionTimestamp ?? 0) >= Math.min(keepMs, cutoffMs)) removed.add(prefix + decodeURIComponent(file))
  }
  return objects.filter((object) => {
    const { key } = object
    if (!DATA_FILE.test(key) || isHidden(key.slice(prefix.length))) return false
    return !active.has(key) && !removed.has(key) && !living.has(key) && isOlder(object, cutoffMs)
  })
}

/** `_delta_log` and whatever else begins with '_' or '.' is not a table's data; but a partition of a column may begin so. */
function isHidden(path: string): boolean {
  return path.split('/').some((folder) => /^[_.]/.test(folder) && !folder.includes('='))
}

function isOlder({ modifiedMs }: StoredObject, cutoffMs: number): boolean {
  return modifiedMs !== undefined && modifiedMs < cutoffMs
}
