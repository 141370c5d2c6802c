import { resolve } from 'node:path'
import { type ReadTableState, readTable } from '../../sinks/delta/read-table.ts'
import { assert } from '../errors.ts'
import type { OpenLake } from './open-lake.ts'

/** A Delta table of a lake, as its log says it is now. */
export interface LakeTable {
  /** 'gold/zone_minutes', 'dead_letters': the folder in the lake. */
  readonly path: string
  /** The name in SQL: 'gold.zone_minutes', 'dead_letters'. */
  readonly sqlName: string
  readonly state: ReadTableState
}

const LAYERS = ['bronze', 'silver', 'gold']

/**
 * All tables of a lake, in the order bronze, silver, gold, others. A table is a folder with a `_delta_log`, at the top or one below.
 * @throws PipelineError LAKE_NOT_FOUND where there is no lake.
 */
export async function lakeTables(lake: OpenLake): Promise<readonly LakeTable[]> {
  await lake.checkThere()
  const outer = await foldersIn(lake, '')
  const found = await Promise.all(
    outer.map(async (name) => {
      const table = await lakeTable(lake, name)
      if (table !== null) return [table]
      const inner = await foldersIn(lake, `${name}/`)
      return Promise.all(inner.map((folder) => lakeTable(lake, `${name}/${folder}`)))
    }),
  )
  const tables = found.flat().filter((table) => table !== null)
  return tables.sort((a, b) => layerOf(a.path) - layerOf(b.path) || (a.path < b.path ? -1 : 1))
}

/** One of them by its path; null where there is none. */
export async function lakeTable({ store }: OpenLake, path: string): Promise<LakeTable | null> {
  const state = await readTable(store, path)
  return state === null ? null : { path, sqlName: path.replaceAll('/', '.'), state }
}

/** For messages: what there is to be asked for. */
export function tableList(tables: readonly LakeTable[]): string {
  return tables.length === 0 ? 'the lake has no tables yet' : tables.map((table) => table.sqlName).join(', ')
}

function layerOf(path: string): number {
  const layer = LAYERS.indexOf(path.split('/')[0]!)
  return layer === -1 ? LAYERS.length : layer
}

/** Names that begin with '_' or '.' are never tables: `_millrace`, `_delta_log`. */
async function foldersIn({ store }: OpenLake, prefix: string): Promise<readonly string[]> {
  assert(store.listFolders !== undefined, 'the store of a lake lists folders')
  return (await store.listFolders(prefix)).filter((name) => !/^[_.]/.test(name))
}

/** Where a data file of a table lies below the folder of its lake. The log's paths are URL-encoded. */
export function filePath(root: string, table: LakeTable, logged: string): string {
  return resolve(root, table.path, decodeURIComponent(logged))
}
