import { ChainKeys, isChainFolder, parseMergeTask } from '../checkpoint/keys.ts'
import { changedTables, redoFrom } from '../checkpoint/decide.ts'
import type { ChainRecord, DataRecord } from '../checkpoint/record.ts'
import { OUTBOX } from '../checkpoint/record.ts'
import { decodeUtf8 } from '../columns/utf8.ts'
import { assert, PipelineError } from '../errors.ts'
import type { ObjectStore } from '../ports.ts'
import { Chain } from '../runtime/chain.ts'
import type { IncarnationRecord } from '../runtime/incarnation.ts'
import type { Retry } from '../runtime/retry.ts'
import { ALL_RULES } from '../runtime/rules.ts'

/** How far a task has come, as its chain and the tables say. Nothing is claimed and nothing is changed. */
export interface TaskProgress {
  readonly task: string
  readonly chain: Chain
  readonly isMerge: boolean
  /** The newest record of work. */
  readonly recorded: DataRecord | null
  /** The newest one up to which everything is in every sink. */
  readonly published: DataRecord | null
  /** Records of work after it. */
  readonly unpublished: number
  /** Host and process id where they are still known, else the run. */
  readonly owner: string | null
}

/** What a task's sinks say of it: the newest epoch that is in them. −1 for none. */
export interface SinkMarkers {
  table(path: string, appId: string): Promise<number>
  outbox(task: string): Promise<number>
}

export interface PipelineChains {
  readonly keys: ChainKeys
  readonly incarnation: IncarnationRecord
  readonly tasks: readonly string[]
}

/** The pipeline of a lake that is meant: the only one, where none is named. @throws PipelineError PIPELINE_NOT_FOUND */
export async function pipelineOf(store: ObjectStore, named: string | null): Promise<string> {
  const folders = await foldersIn(store, '_millrace/')
  // The probe of the store has a folder there too.
  const isPipeline = await Promise.all(
    folders.map(async (name) => (await foldersIn(store, `_millrace/${name}/`)).includes('incarnations')),
  )
  const names = folders.filter((_, index) => isPipeline[index])
  if (named !== null && names.includes(named)) return named
  if (named === null && names.length === 1) return names[0]!
  const message =
    named === null ? `the lake has ${names.length} pipelines` : `the lake has no pipeline ${named}`
  throw new PipelineError('PIPELINE_NOT_FOUND', message, {
    advice:
      names.length === 0
        ? 'Nothing was recorded here yet. Check --lake, or run the pipeline.'
        : `Name one of them with --pipeline: ${names.join(', ')}.`,
  })
}

/** The chains of the newest incarnation. */
export async function pipelineChains(store: ObjectStore, pipeline: string): Promise<PipelineChains> {
  const newest = (await store.list(ChainKeys.incarnationPrefix(pipeline))).at(-1)
  const body = newest === undefined ? null : await store.get(newest.key)
  if (body === null) {
    throw new PipelineError('PIPELINE_NOT_FOUND', `pipeline ${pipeline} has recorded nothing yet`, {
      advice: 'Run it, or check --lake.',
    })
  }
  const incarnation = JSON.parse(decodeUtf8(body)) as IncarnationRecord
  const keys = new ChainKeys(pipeline, incarnation.incarnation)
  const tasks = (await foldersIn(store, keys.root)).filter(isChainFolder)
  return { keys, incarnation, tasks }
}

export async function taskProgress(
  store: ObjectStore,
  keys: ChainKeys,
  task: string,
  markers: SinkMarkers,
  retry: Retry,
): Promise<TaskProgress> {
  const chain = new Chain({ store, keys, retry, rules: ALL_RULES }, task)
  const { data, claim } = await readTail(chain)
  const recorded = data.at(-1) ?? null
  const isMerge = recorded === null ? parseMergeTask(task) !== null : recorded.work.type === 'merge'
  const pending = recorded === null ? [] : await unpublishedOf(data, recorded, keys.appId(task), markers)
  const first = pending[0]
  const published =
    first === undefined ? recorded : (data.findLast(({ epoch }) => epoch < first.epoch) ?? null)
  const owner = claim?.owner ?? recorded?.owner ?? claim?.run ?? recorded?.run ?? null
  return { task, chain, isMerge, recorded, published, unpublished: pending.length, owner }
}

interface Tail {
  /** Ascending: from the newest that is surely published. */
  readonly data: readonly DataRecord[]
  /** The newest, where retention has left it. */
  readonly claim: Extract<ChainRecord, { kind: 'claim' }> | null
}

/** Records may go while this looks at them: those that go are published. */
async function readTail(chain: Chain): Promise<Tail> {
  const epochs = await chain.list()
  const data: DataRecord[] = []
  let claim: Tail['claim'] = null
  for (const epoch of epochs.toReversed()) {
    const last = data.at(-1)
    const newest = data[0]
    if (
      last !== undefined &&
      newest !== undefined &&
      last.epoch < redoFrom(newest, Object.keys(newest.published))
    )
      break
    const record = await chain.read(epoch)
    if (record === null) break
    if (record.kind === 'data') data.push(record)
    if (record.kind === 'claim') claim ??= record
  }
  const underClaim = data[0]?.claim
  if (claim === null && underClaim !== undefined) {
    const record = await chain.read(underClaim)
    if (record?.kind === 'claim') claim = record
  }
  return { data: data.toReversed(), claim }
}

/** Those that some sink lacks. A sink has an epoch that gives it nothing. */
async function unpublishedOf(
  data: readonly DataRecord[],
  newest: DataRecord,
  appId: string,
  markers: SinkMarkers,
): Promise<readonly DataRecord[]> {
  const known = new Map(Object.entries(newest.published))
  const reached = new Map<string, number>()
  const hasReached = async (sink: string, epoch: number): Promise<boolean> => {
    const low = Math.max(known.get(sink) ?? -1, sink === OUTBOX ? (newest.outboxMarker ?? -1) : -1)
    if (low >= epoch) return true
    if (!reached.has(sink)) {
      reached.set(sink, await (sink === OUTBOX ? markers.outbox(newest.task) : markers.table(sink, appId)))
    }
    return reached.get(sink)! >= epoch
  }
  const pending: DataRecord[] = []
  for (const record of data) {
    const sinks = [...changedTables(record)]
    if ((record.outbox?.messages ?? 0) > 0) sinks.push(OUTBOX)
    const are = await Promise.all(sinks.map((sink) => hasReached(sink, record.epoch)))
    if (!are.every(Boolean)) pending.push(record)
  }
  return pending
}

/** The newest record of work up to this epoch: what a merge has folded may end with a claim. Null where it is gone. */
export async function workAt(chain: Chain, epoch: number): Promise<DataRecord | null> {
  for (let at = epoch; at >= 0; at--) {
    const record = await chain.read(at)
    if (record === null) return null
    if (record.kind === 'data') return record
  }
  return null
}

async function foldersIn(store: ObjectStore, prefix: string): Promise<readonly string[]> {
  assert(store.listFolders !== undefined, 'the store of a lake lists folders')
  return store.listFolders(prefix)
}
