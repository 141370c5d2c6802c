import { recording } from '../../consumers/recording/index.ts'
import { deltaFormat } from '../../sinks/delta/delta-format.ts'
import { decodeUtf8 } from '../columns/utf8.ts'
import { PipelineError } from '../errors.ts'
import { BATCH_RECORDS_MAX, FLUSH_BYTES_MAX, FLUSH_ROWS_MAX } from '../runtime/run.ts'
import type { Log, SourceBinding, TableLog, TableShape } from '../ports.ts'
import type { RunSummary } from '../runtime/bindings.ts'
import { runPipeline } from '../runtime/run-pipeline.ts'
import { systemClock, systemEntropy } from '../runtime/system.ts'
import type { PipelineSpec } from '../topology/node.ts'
import { memoryStore } from './memory-store.ts'
import { rowEncoder } from './row-encoder.ts'
import { rowsSource, type TestRecord } from './rows-source.ts'

export interface ReplayOptions {
  /** Path of a recording. This or `records`. */
  readonly recording?: string
  /** Or a few records written in the test itself. */
  readonly records?: readonly TestRecord[]
  /** The folder of the writers' schemas. Default: `registry` beside the recording. */
  readonly registry?: string
  readonly topic?: string
  /** Rows in an epoch, and records in a read: results must not depend on either, so a test may choose odd ones. */
  readonly epochRows?: number
  readonly batchRecords?: number
  /**
   * Only with `records`: after so many of them, in the order given, the pipeline is stopped, with all that was read recorded and published, and started again. It changes no
   * result, but `revisions: 'all'` shows what was written at each stop: [1, 2, 3] is every record by itself.
   */
  readonly restartAfter?: readonly number[]
}

/** A row as JSON: longs beyond 2^53, decimals, bytes and times are text. `docs/types.md` has the whole table. */
export type Row = Readonly<Record<string, unknown>>

export interface ReplayResult {
  readonly summary: RunSummary
  /** Paths of the tables: 'bronze/trips', …, 'dead_letters'. */
  readonly tables: readonly string[]
  /** The rows of a table in an order that only depends on them, without `_processed_at`. */
  rows(table: string): readonly Row[]
  /** The same as text, one row a line: for golden files, as in `toMatchFileSnapshot`. */
  text(table: string): string
}

/**
 * Replays a recording through a pipeline in memory: the production driver, with the lake in a Map. Nothing is written to disk.
 *
 * @example
 * const result = await replay(taxi, { recording: 'test/trips.avro' })
 * await expect(result.text('gold/zone_minutes')).toMatchFileSnapshot('golden/zone_minutes.jsonl')
 */
export async function replay(pipeline: PipelineSpec, options: ReplayOptions): Promise<ReplayResult> {
  const { epochRows = FLUSH_ROWS_MAX, batchRecords = BATCH_RECORDS_MAX } = options
  const store = memoryStore()
  const inner = deltaFormat(store, rowEncoder)
  const logs = new Map<string, TableLog>()
  const format = {
    encoder: rowEncoder,
    open(shape: TableShape): TableLog {
      const log = inner.open(shape)
      logs.set(shape.path, log)
      return log
    },
  }
  const run = (binding: SourceBinding): Promise<RunSummary> =>
    runPipeline(pipeline, {
      source: binding.open({ clock: systemClock, entropy: systemEntropy, log: SILENT, acceptLoss: false }),
      registry: binding.registry,
      lake: store,
      format,
      clock: systemClock,
      entropy: systemEntropy,
      log: SILENT,
      flush: { rowsMax: epochRows, bytesMax: FLUSH_BYTES_MAX, everyMs: null, batchRecordsMax: batchRecords },
      fresh: false,
      signal: null,
      onProgress: null,
    })
  for (const binding of partsOf(pipeline, options)) await run(binding)
  const summary = await run(bindingOf(pipeline, options))
  const contents = new Map<string, readonly string[]>()
  for (const [path, log] of logs) {
    const lines: string[] = []
    for (const file of (await log.read()).files.values()) {
      const body = await store.get(`${path}/${decodeURIComponent(file.path)}`)
      for (const row of JSON.parse(decodeUtf8(body!)) as Row[]) lines.push(lineOf(row))
    }
    contents.set(path, lines.sort())
  }
  return resultOf(summary, contents)
}

/** What is read before each restart. */
function partsOf(
  pipeline: PipelineSpec,
  { records, restartAfter = [] }: ReplayOptions,
): readonly SourceBinding[] {
  if (restartAfter.length > 0 && records === undefined) {
    throw new PipelineError(
      'OPTION_INVALID',
      'restartAfter counts records, and replay was given a recording',
      {
        advice: 'Give it the records, or run millrace replay with --until several times.',
      },
    )
  }
  return restartAfter.map((count) => rowsSource(pipeline, records ?? [], count))
}

function bindingOf(pipeline: PipelineSpec, options: ReplayOptions): SourceBinding {
  const { recording: path, records, registry, topic } = options
  if (records !== undefined && path === undefined) return rowsSource(pipeline, records)
  if (path === undefined || records !== undefined) {
    throw new PipelineError('OPTION_INVALID', 'replay takes a recording or records, one of them')
  }
  return recording({
    path,
    ...(registry === undefined ? {} : { registry }),
    ...(topic === undefined ? {} : { topic }),
  })
}

function resultOf(summary: RunSummary, contents: ReadonlyMap<string, readonly string[]>): ReplayResult {
  const linesOf = (table: string): readonly string[] => {
    const lines = contents.get(table)
    if (lines !== undefined) return lines
    throw new PipelineError('TABLE_UNKNOWN', `the pipeline has no table ${table}`, {
      advice: `It has: ${[...contents.keys()].join(', ')}.`,
    })
  }
  return {
    summary,
    tables: [...contents.keys()],
    rows: (table) => linesOf(table).map((line) => JSON.parse(line) as Row),
    text: (table) =>
      linesOf(table)
        .map((line) => `${line}\n`)
        .join(''),
  }
}

function lineOf(row: Row): string {
  return JSON.stringify({ ...row, _processed_at: undefined })
}

const SILENT: Log = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => SILENT,
}
