import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type DuckDBConnection,
  DuckDBArrayValue,
  DuckDBBlobValue,
  DuckDBDecimalValue,
  DuckDBInstance,
  DuckDBListValue,
  DuckDBMapValue,
  DuckDBStructValue,
  DuckDBTimestampMillisecondsValue,
  DuckDBTimestampNanosecondsValue,
  DuckDBTimestampSecondsValue,
  DuckDBTimestampTZValue,
  DuckDBTimestampValue,
  type DuckDBValue,
  ResultReturnType,
} from '@duckdb/node-api'
import { messageOf, PipelineError } from '../errors.ts'
import type { Cell } from './cell.ts'
import { type LakeTable, tableList } from './lake.ts'
import type { LakeFiles } from './lake-files.ts'
import { columnsViewSql, schemaOf, viewSql } from './lake-views.ts'

export interface QueryResult {
  readonly columns: readonly string[]
  /** Types as SQL names them. */
  readonly types: readonly string[]
  /** False for a statement that gives no rows, as CREATE or SET. */
  readonly hasRows: boolean
  /** Rows in chunks of about two thousand, read as they are asked for. */
  chunks(): AsyncIterable<readonly (readonly Cell[])[]>
}

/** The tables of a lake in an embedded DuckDB: in memory, read-only towards the lake; it reads nothing from the net itself. */
export interface LakeDatabase {
  /** Runs all statements and returns the rows of the last one. @throws PipelineError SQL, LAKE_FILE_MISSING */
  query(sql: string): Promise<QueryResult>
  /** Also the files. */
  close(): Promise<void>
}

export async function openLakeDatabase(
  files: LakeFiles,
  tables: readonly LakeTable[],
): Promise<LakeDatabase> {
  const spill = join(tmpdir(), `millrace-query-${process.pid}`)
  const instance = await DuckDBInstance.create(':memory:', {
    // An unknown function or an s3:// path would fetch code from the net otherwise.
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
    allow_community_extensions: 'false',
    // The default is a folder in the working directory.
    temp_directory: spill,
  })
  const connection = await instance.connect()
  await connection.run("set timezone = 'UTC'")
  const schemas = new Set(tables.map(schemaOf))
  for (const schema of schemas) if (schema !== null) await connection.run(`create schema ${schema}`)
  return new Database(files, tables, instance, connection, spill)
}

/** What lists tables or columns without naming them needs all views. */
const CATALOG_WORDS = /\b(show|describe|summarize|information_schema|duckdb_\w+|pg_\w+|sqlite_master)\b/i

/** One statement that asks for the columns of something. */
const COLUMNS_ONLY = /^\s*(?:describe|desc|show)\b[^;]*;?\s*$/i

class Database implements LakeDatabase {
  readonly #files: LakeFiles
  readonly #tables: readonly LakeTable[]
  readonly #instance: DuckDBInstance
  readonly #connection: DuckDBConnection
  readonly #spill: string
  /** By path: what its view has. */
  readonly #made = new Map<string, 'columns' | 'rows'>()

  constructor(
    files: LakeFiles,
    tables: readonly LakeTable[],
    instance: DuckDBInstance,
    connection: DuckDBConnection,
    spill: string,
  ) {
    this.#files = files
    this.#tables = tables
    this.#instance = instance
    this.#connection = connection
    this.#spill = spill
  }

  async query(sql: string): Promise<QueryResult> {
    try {
      await this.#makeViews(sql)
      const result = await this.#connection.stream(sql)
      return {
        columns: result.columnNames(),
        types: result.columnTypes().map(String),
        hasRows: result.returnType === ResultReturnType.QUERY_RESULT,
        chunks: () => this.#chunks(result),
      }
    } catch (error) {
      throw this.#explain(error)
    }
  }

  async close(): Promise<void> {
    this.#connection.closeSync()
    this.#instance.closeSync()
    await rm(this.#spill, { recursive: true, force: true })
    await this.#files.close()
  }

  /**
   * Only of the tables whose name is in the SQL: to make a view, DuckDB reads the footer of each of its files, which
   * takes long for a table of thousands that nobody asks for, and those of a lake far away have to be fetched first. Where only
   * columns are asked for, the log knows them.
   */
  async #makeViews(sql: string): Promise<void> {
    const lowered = sql.toLowerCase()
    const all = CATALOG_WORDS.test(sql)
    for (const table of this.#tables) {
      const name = table.path.slice(table.path.lastIndexOf('/') + 1).toLowerCase()
      const isNamed = lowered.includes(name)
      const made = this.#made.get(table.path)
      if (isNamed && !COLUMNS_ONLY.test(sql)) {
        if (made === 'rows') continue
        await this.#files.fetch(table)
        await this.#connection.run(viewSql(this.#files.root, table))
        this.#made.set(table.path, 'rows')
      } else if ((isNamed || all) && made === undefined) {
        await this.#connection.run(columnsViewSql(table))
        this.#made.set(table.path, 'columns')
      }
    }
  }

  async *#chunks(result: Awaited<ReturnType<DuckDBConnection['stream']>>) {
    for (;;) {
      let rows: readonly (readonly DuckDBValue[])[]
      try {
        const chunk = await result.fetchChunk()
        if (chunk === null || chunk.rowCount === 0) return
        rows = chunk.getRows()
      } catch (error) {
        throw this.#explain(error)
      }
      yield rows.map((row) => row.map(cellOf))
    }
  }

  #explain(error: unknown): PipelineError {
    if (error instanceof PipelineError) return error
    const { kind, message } = partsOf(messageOf(error))
    if (/^(No files found that match|Could not open file|Cannot open file)/.test(message)) {
      return new PipelineError('LAKE_FILE_MISSING', message, {
        advice:
          'Run the query again: the table has been rewritten meanwhile. If it stays, the lake is damaged.',
        cause: error,
      })
    }
    return new PipelineError('SQL', this.#withoutForeignSuggestion(message), {
      advice: this.#adviceFor(kind, message),
      cause: error,
    })
  }

  #adviceFor(kind: string, message: string): string {
    if (
      /^Table with name .* does not exist|Catalog ".*" does not exist|[Ss]chema.*does not exist/.test(message)
    ) {
      return `The tables are: ${tableList(this.#tables)}.`
    }
    if (/extension/i.test(message))
      return 'The embedded DuckDB loads no extensions; it has core, ICU, JSON and Parquet.'
    if (kind === 'Parser')
      return 'The SQL is that of DuckDB. Strings are in single quotes; quote the whole for the shell.'
    return 'The SQL is that of DuckDB. See the columns with: millrace tables --columns'
  }

  /** DuckDB proposes names of its catalog, where a name of the lake was meant. */
  #withoutForeignSuggestion(message: string): string {
    return message.replace(/\nDid you mean "([^"]+)"\?/, (line, name: string) =>
      this.#tables.some((table) => table.sqlName === name || table.sqlName.endsWith(`.${name}`)) ? line : '',
    )
  }
}

/** 'Catalog Error: Table …' → the first word and the rest, without blank lines. Some errors are wrapped in another. */
function partsOf(message: string): { kind: string; message: string } {
  const match =
    /^(?:Failed to extract statements: |Invalid Input Error: )?(\w+(?: \w+)?) Error: ([\s\S]*)$/.exec(message)
  const tidy = (match?.[2] ?? message).trim().replaceAll(/\n\s*\n/g, '\n')
  return { kind: match?.[1] ?? '', message: tidy }
}

const MICROS_PER_SECOND = 1_000_000n
const MICROS_PER_MILLISECOND = 1_000n
const NANOS_PER_MICRO = 1_000n

function cellOf(value: DuckDBValue): Cell {
  if (value === null || typeof value !== 'object') return value
  if (value instanceof DuckDBTimestampTZValue) return { kind: 'timestamp', micros: value.micros, utc: true }
  if (value instanceof DuckDBTimestampValue) return { kind: 'timestamp', micros: value.micros, utc: false }
  if (value instanceof DuckDBDecimalValue) return { kind: 'decimal', text: value.toString() }
  if (value instanceof DuckDBBlobValue) return { kind: 'bytes', bytes: value.bytes }
  if (value instanceof DuckDBListValue || value instanceof DuckDBArrayValue) {
    return { kind: 'list', elements: value.items.map(cellOf) }
  }
  if (value instanceof DuckDBStructValue) {
    return {
      kind: 'struct',
      entries: Object.entries(value.entries).map(([name, inner]) => [name, cellOf(inner)]),
    }
  }
  if (value instanceof DuckDBMapValue) {
    return {
      kind: 'map',
      entries: value.entries.map(({ key, value: inner }) => [cellOf(key), cellOf(inner)]),
    }
  }
  if (value instanceof DuckDBTimestampMillisecondsValue) return local(value.millis * MICROS_PER_MILLISECOND)
  if (value instanceof DuckDBTimestampSecondsValue) return local(value.seconds * MICROS_PER_SECOND)
  if (value instanceof DuckDBTimestampNanosecondsValue) return local(value.nanos / NANOS_PER_MICRO)
  return String(value)
}

function local(micros: bigint): Cell {
  return { kind: 'timestamp', micros, utc: false }
}
