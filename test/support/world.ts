import { deltaFormat } from '../../sinks/delta/delta-format.ts'
import { readTable } from '../../sinks/delta/read-table.ts'
import { decodeUtf8 } from '../../src/columns/utf8.ts'
import type {
  Clock,
  Log,
  ObjectStore,
  SchemaRegistry,
  Source,
  SourceWorld,
  StoredObject,
  TableFormat,
} from '../../src/ports.ts'
import type { RunBindings, RunSummary } from '../../src/runtime/bindings.ts'
import { runPipeline } from '../../src/runtime/run-pipeline.ts'
import { systemEntropy } from '../../src/runtime/system.ts'
import { rowEncoder } from '../../src/testing/row-encoder.ts'
import { rowsSource, type TestRecord } from '../../src/testing/rows-source.ts'
import type { PipelineSpec } from '../../src/topology/node.ts'

/** One start of a pipeline, on a lake that outlives it. */
export interface StartOptions {
  readonly lake: ObjectStore
  /** Default: rows as JSON, which `rowsIn` reads. */
  readonly format?: TableFormat
  readonly records?: readonly TestRecord[]
  /** Instead of the records' own. */
  readonly source?: Source
  readonly registry?: SchemaRegistry
  readonly fresh?: boolean
  readonly backfill?: boolean
  readonly allowRemoved?: boolean
  readonly signal?: AbortSignal
  readonly log?: Log
  readonly retention?: RunBindings['retention']
  readonly snapshots?: RunBindings['snapshots']
  readonly epochRows?: number
  readonly epochBytes?: number
  readonly batchRecords?: number
  /** By the clock. Default: never. */
  readonly epochMs?: number
  /** Default: the lake's table. */
  readonly deadLetters?: RunBindings['deadLetters']
  /** Default: no limit. */
  readonly stopWithinMs?: number
}

export function start(program: PipelineSpec, options: StartOptions): Promise<RunSummary> {
  const { lake, records = [], epochRows = 1_000, epochBytes = 1e8, batchRecords = 1_000 } = options
  const binding = rowsSource(program, records)
  return runPipeline(program, {
    source: options.source ?? binding.open(WORLD),
    registry: options.registry ?? binding.registry,
    lake,
    format: options.format ?? deltaFormat(lake, rowEncoder),
    clock: IMPATIENT,
    entropy: systemEntropy,
    log: options.log ?? SILENT,
    flush: {
      rowsMax: epochRows,
      bytesMax: epochBytes,
      everyMs: options.epochMs ?? null,
      batchRecordsMax: batchRecords,
    },
    ...(options.retention === undefined ? {} : { retention: options.retention }),
    ...(options.snapshots === undefined ? {} : { snapshots: options.snapshots }),
    fresh: options.fresh ?? false,
    backfill: options.backfill ?? false,
    allowRemoved: options.allowRemoved ?? false,
    signal: options.signal ?? null,
    deadLetters: options.deadLetters ?? null,
    stopWithinMs: options.stopWithinMs ?? null,
    onProgress: null,
  })
}

type Row = Readonly<Record<string, unknown>>

/**
 * What the readers of a table see: its rows in an order that only depends on them, without `_processed_at` and without the
 * incarnation that a dead letter names.
 */
export async function rowsIn(lake: ObjectStore, path: string): Promise<readonly Row[]> {
  const lines: string[] = []
  for (const file of (await readTable(lake, path))?.files.values() ?? []) {
    const body = await lake.get(`${path}/${decodeURIComponent(file.path)}`)
    for (const row of JSON.parse(decodeUtf8(body!)) as Row[]) {
      lines.push(JSON.stringify({ ...row, _processed_at: undefined, incarnation: undefined }))
    }
  }
  return lines.sort().map((line) => JSON.parse(line) as Row)
}

/** All tables of a pipeline, so that two lakes can be compared. */
export async function tablesIn(
  lake: ObjectStore,
  program: PipelineSpec,
): Promise<Record<string, readonly Row[]>> {
  const paths = [...program.tables.map(({ layer, name }) => `${layer}/${name}`), 'dead_letters']
  const tables = paths.map(async (path) => [path, await rowsIn(lake, path)] as const)
  return Object.fromEntries(await Promise.all(tables))
}

/** Every object with its size, but for what a start leaves behind to probe the store. */
export async function imageOf(lake: ObjectStore): Promise<readonly string[]> {
  return (await lake.list('')).map(({ key, size }) => `${key} ${size}`)
}

type StoreCall = 'put' | 'putIfAbsent' | 'get' | 'list' | 'delete'

/** What may go wrong with a store. Either may throw, or wait. */
export interface StoreHooks {
  before?(call: StoreCall, key: string): Promise<void> | void
  /** The call has been done; its answer can still be lost. */
  after?(call: StoreCall, key: string): Promise<void> | void
}

export function hookedStore(inner: ObjectStore, hooks: StoreHooks): ObjectStore {
  const hooked = async <T>(call: StoreCall, key: string, work: () => Promise<T>): Promise<T> => {
    await hooks.before?.(call, key)
    const result = await work()
    await hooks.after?.(call, key)
    return result
  }
  return {
    description: inner.description,
    putIfAbsent: (key, body) => hooked('putIfAbsent', key, () => inner.putIfAbsent(key, body)),
    put: (key, body) => hooked('put', key, () => inner.put(key, body)),
    get: (key) => hooked('get', key, () => inner.get(key)),
    list: (prefix, startAfter): Promise<readonly StoredObject[]> =>
      hooked('list', prefix, () => inner.list(prefix, startAfter)),
    delete: (key) => hooked('delete', key, () => inner.delete(key)),
  }
}

/** The records of partition tasks come so slowly that the merge has folded each before the next is put, however busy the machine is. */
export function pacedStore(lake: ObjectStore): ObjectStore {
  return hookedStore(lake, {
    async before(call, key) {
      if (call !== 'putIfAbsent' || !/\/readings-\d+\/\d{12}\.json$/.test(key)) return
      for (let breath = 0; breath < 40; breath++) await new Promise((resolve) => setImmediate(resolve))
    },
  })
}

/** Nobody waits in a test: a sleep is over when everything else has had its turn. */
export const IMPATIENT: Clock = {
  nowMs: () => Date.now(),
  sleep: () => new Promise((resolve) => setImmediate(resolve)),
}

/** What a source may use. */
export const WORLD: SourceWorld = {
  clock: IMPATIENT,
  entropy: systemEntropy,
  get log() {
    return SILENT
  },
  acceptLoss: false,
}

export const SILENT: Log = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => SILENT,
}
