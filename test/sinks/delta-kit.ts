import { beforeEach, expect } from 'vitest'
import { deltaFormat } from '../../sinks/delta/delta-format.ts'
import { parquetEncoder } from '../../sinks/parquet/parquet-encoder.ts'
import type { Field } from '../../src/columns/column-type.ts'
import type { ObjectStore, StagedFile, TableCommit, TableLog, TableState } from '../../src/ports.ts'
import { memoryStore } from '../../src/testing/memory-store.ts'
import { commit, field, INT, shapeOf, stage, STRING } from './table-kit.ts'

/** What the tests of the Delta log share: a store that is empty before each test, and one table in it. */

export const encoder = parquetEncoder()
export const FIELDS = [field('id', INT), field('zone', STRING, true)]
export const SHAPE = shapeOf('gold/t', FIELDS)
export const BY_ZONE = shapeOf('gold/t', FIELDS, [{ kind: 'value', field: 'zone' }])
export const DAY_MS = 86_400_000
export const FIRST_MS = 1_700_000_000_000

export let store: ObjectStore = memoryStore()
beforeEach(() => {
  store = memoryStore()
})

export function open(shape = SHAPE): TableLog {
  return deltaFormat(store, encoder).open(shape)
}

/** A data file that is not there: the log does not look. */
export function file(name: string, rows = 1): StagedFile {
  return {
    path: `${name}.parquet`,
    size: 10,
    rows,
    partitionValues: {},
    stats: `{"numRecords":${rows}}`,
    modifiedMs: 5,
    tags: { epoch: name },
  }
}

export function plainCommit(rest: Partial<TableCommit> = {}): TableCommit {
  return {
    metadata: null,
    add: [],
    remove: [],
    txn: new Map(),
    committedMs: 1_000,
    operation: 'WRITE',
    info: {},
    ...rest,
  }
}

export function logKey(version: number): string {
  return `gold/t/_delta_log/${String(version).padStart(20, '0')}.json`
}

export async function textOf(key: string): Promise<string> {
  const body = await store.get(key)
  return new TextDecoder().decode(body ?? undefined)
}

export async function put(key: string, text: string): Promise<void> {
  await store.put(key, new TextEncoder().encode(text))
}

/** What two states must agree on: the order of files and markers means nothing. */
export function comparable(state: TableState): object {
  return {
    version: state.version,
    fields: state.fields,
    configuration: state.configuration,
    txn: Object.fromEntries(state.txn),
    files: Object.fromEntries(state.files),
  }
}

export function failure(code: string, message: RegExp): Error {
  return expect.objectContaining({ code, message: expect.stringMatching(message) as string }) as Error
}

/** Files come and go, several markers, odd partition values; a commit a day. */
export async function history(versions: number): Promise<void> {
  const log = open(BY_ZONE)
  const { version: last } = await log.refresh()
  for (let version = last + 1; version <= last + versions; version++) {
    const state = await log.read()
    const rows = [null, 'a/b', 'ü=%'].map((zone, id) => ({ id: id + version * 10, zone }))
    const add = await stage(store, encoder, BY_ZONE, rows, `v${version}`)
    const remove = version % 4 === 3 ? [...state.files.values()].slice(0, 2) : []
    const txn = new Map([[`task${version % 3}`, version]])
    await commit(log, add, { remove, txn, committedMs: FIRST_MS + version * DAY_MS })
  }
}

/** Writes a table of one schema, adds to it with another, and returns what readers see. */
export async function evolve(before: readonly Field[], after: readonly Field[]): Promise<readonly Field[]> {
  await commit(open(shapeOf('gold/t', before)), [file('a')])
  await commit(open(shapeOf('gold/t', after)), [file('b')])
  const { fields } = await open().refresh()
  return fields!
}

/** A store whose methods can be replaced one by one. */
export function wrap(inner: ObjectStore): ObjectStore {
  return {
    description: inner.description,
    putIfAbsent: (key, body) => inner.putIfAbsent(key, body),
    put: (key, body) => inner.put(key, body),
    get: (key) => inner.get(key),
    list: (prefix, startAfter) => inner.list(prefix, startAfter),
    delete: (key) => inner.delete(key),
  }
}
