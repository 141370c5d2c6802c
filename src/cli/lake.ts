import { readdir, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { type ReadTableState, readTable } from '../../sinks/delta/read-table.ts'
import { directoryStore } from '../../sinks/directory-store.ts'
import { PipelineError } from '../errors.ts'

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
 * All tables of a lake, in the order bronze, silver, gold, others. A table is a folder with a `_delta_log`.
 * @throws PipelineError LAKE_NOT_FOUND where there is no folder.
 */
export async function lakeTables(lake: string): Promise<readonly LakeTable[]> {
  const paths = await tablePaths(lake)
  const store = directoryStore(lake)
  const tables: LakeTable[] = []
  for (const path of paths) {
    const state = await readTable(store, path)
    if (state !== null) tables.push({ path, sqlName: path.replaceAll('/', '.'), state })
  }
  return tables
}

/** For messages: what there is to be asked for. */
export function tableList(tables: readonly LakeTable[]): string {
  return tables.length === 0 ? 'the lake has no tables yet' : tables.map((table) => table.sqlName).join(', ')
}

async function tablePaths(lake: string): Promise<readonly string[]> {
  await checkFolder(lake)
  const paths: string[] = []
  for (const outer of await folders(lake)) {
    if (await isTable(join(lake, outer))) paths.push(outer)
    else if (!outer.startsWith('_') && !outer.startsWith('.')) {
      for (const inner of await folders(join(lake, outer))) {
        if (await isTable(join(lake, outer, inner))) paths.push(`${outer}/${inner}`)
      }
    }
  }
  return paths.sort((a, b) => layerOf(a) - layerOf(b) || (a < b ? -1 : 1))
}

function layerOf(path: string): number {
  const layer = LAYERS.indexOf(path.split('/')[0]!)
  return layer === -1 ? LAYERS.length : layer
}

async function checkFolder(lake: string): Promise<void> {
  const stats = await stat(lake).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null
    throw error
  })
  if (stats?.isDirectory() === true) return
  throw new PipelineError(
    'LAKE_NOT_FOUND',
    `there is no lake at ${lake}${stats === null ? '' : ': it is a file'}`,
    {
      advice: `Name its folder with --lake, or fill one: millrace replay <program.ts> --recording <file> --lake ${lake}`,
    },
  )
}

async function folders(path: string): Promise<readonly string[]> {
  const entries = await readdir(path, { withFileTypes: true })
  return entries.filter((entry) => entry.isDirectory() || entry.isSymbolicLink()).map((entry) => entry.name)
}

async function isTable(path: string): Promise<boolean> {
  const stats = await stat(join(path, '_delta_log')).catch(() => null)
  return stats?.isDirectory() === true
}

/** Where a data file of a table lies on this machine. The log's paths are URL-encoded. */
export function filePath(lake: string, table: LakeTable, logged: string): string {
  return resolve(lake, table.path, decodeURIComponent(logged))
}
