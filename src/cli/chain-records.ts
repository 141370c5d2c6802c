import { ChainKeys, epochOfRecordKey, isChainFolder } from '../checkpoint/keys.ts'
import { type ChainRecord, decodeRecord } from '../checkpoint/record.ts'
import { retainedEpochs } from '../checkpoint/retention.ts'
import { decodeUtf8 } from '../columns/utf8.ts'
import { assert, PipelineError } from '../errors.ts'
import type { ObjectStore } from '../ports.ts'
import type { IncarnationRecord } from '../runtime/incarnation.ts'

/** Chains as they lie in a lake, for people who look at them. Nothing is claimed and nothing is changed. */

export interface ListedChain {
  readonly task: string
  /** Contiguous up to the head. */
  readonly epochs: readonly number[]
  /** Below a hole: what a sleeper put where records had been deleted, or what a deletion has not come to. */
  readonly stray: readonly number[]
}

/** Names of all pipelines that have recorded something. */
export async function pipelinesIn(store: ObjectStore): Promise<readonly string[]> {
  assert(store.listFolders !== undefined, 'the store of a lake lists folders')
  const names = (await store.listFolders('_millrace/')).filter((name) => !name.startsWith('.'))
  const incarnations = await Promise.all(names.map((name) => store.list(ChainKeys.incarnationPrefix(name))))
  return names.filter((_, index) => incarnations[index]!.length > 0)
}

/** Ascending. @throws PipelineError PIPELINE_NOT_FOUND, RECORD_UNREADABLE */
export async function incarnationsOf(
  store: ObjectStore,
  pipeline: string,
): Promise<readonly IncarnationRecord[]> {
  const objects = await store.list(ChainKeys.incarnationPrefix(pipeline))
  if (objects.length === 0) {
    const names = await pipelinesIn(store)
    throw new PipelineError('PIPELINE_NOT_FOUND', `the lake has no pipeline ${pipeline}`, {
      advice: names.length === 0 ? 'Check --lake, or run the pipeline.' : `There are: ${names.join(', ')}.`,
    })
  }
  return Promise.all(objects.map(({ key }) => readIncarnation(store, key)))
}

async function readIncarnation(store: ObjectStore, key: string): Promise<IncarnationRecord> {
  const body = await store.get(key)
  try {
    assert(body !== null, 'it is gone')
    return JSON.parse(decodeUtf8(body)) as IncarnationRecord
  } catch (error) {
    throw new PipelineError('RECORD_UNREADABLE', `${key} cannot be read`, {
      cause: error,
      advice: 'Restore the object from a copy of the lake.',
    })
  }
}

/** The chains of an incarnation. */
export async function chainsOf(store: ObjectStore, keys: ChainKeys): Promise<readonly ListedChain[]> {
  assert(store.listFolders !== undefined, 'the store of a lake lists folders')
  const tasks = (await store.listFolders(keys.root)).filter(isChainFolder)
  return Promise.all(tasks.map((task) => listChain(store, keys, task)))
}

export async function listChain(store: ObjectStore, keys: ChainKeys, task: string): Promise<ListedChain> {
  const objects = await store.list(keys.chainPrefix(task))
  const listed = objects.map(({ key }) => epochOfRecordKey(key)).filter((epoch) => epoch !== null)
  const epochs = retainedEpochs(listed)
  return { task, epochs, stray: listed.filter((epoch) => epoch < (epochs[0] ?? 0)) }
}

/** Null where there is none. @throws PipelineError RECORD_UNREADABLE, RECORD_VERSION */
export async function readRecord(
  store: ObjectStore,
  keys: ChainKeys,
  task: string,
  epoch: number,
): Promise<ChainRecord | null> {
  const key = keys.record(task, epoch)
  const body = await store.get(key)
  return body === null ? null : decodeRecord(key, decodeUtf8(body))
}

const CALLS_AT_ONCE = 16

/** The results in the order of the items, a few calls at a time. */
export async function inTurn<T, R>(
  items: readonly T[],
  call: (item: T) => Promise<R>,
  atOnce = CALLS_AT_ONCE,
): Promise<readonly R[]> {
  const results: R[] = []
  for (let index = 0; index < items.length; index += atOnce) {
    results.push(...(await Promise.all(items.slice(index, index + atOnce).map(call))))
  }
  return results
}
