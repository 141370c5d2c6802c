import { unreachable } from '../errors.ts'
import { type Cell, cellCsv, cellJson, cellText } from './cell.ts'
import { EXIT, type ExitCode, usageError } from './failure.ts'
import { fetchProgress } from './fetch-progress.ts'
import { lakeTables } from './lake.ts'
import type { CacheLimits } from './lake-cache.ts'
import { openLakeDatabase, type QueryResult } from './lake-database.ts'
import { openLake } from './open-lake.ts'
import type { Terminal } from './terminal.ts'
import { textTable } from './text-table.ts'

export type QueryFormat = 'table' | 'json' | 'csv'

export interface QueryOptions {
  readonly sql: string
  readonly lake: string
  readonly cache: CacheLimits
  readonly format: QueryFormat
  /** Rows that a table shows at most; 0 for all. JSON and CSV always have all rows. */
  readonly limit: number
}

/** `millrace query`: SQL over the tables of a lake. */
export async function query(options: QueryOptions, terminal: Terminal): Promise<ExitCode> {
  if (options.sql.trim() === '') {
    throw usageError('there is no SQL', 'Write it as one argument: millrace query "select 1".')
  }
  const lake = await openLake(options.lake)
  try {
    const tables = await lakeTables(lake)
    const files = await lake.openFiles({ ...options.cache, onProgress: fetchProgress(terminal.err) })
    const database = await openLakeDatabase(files, tables)
    try {
      await print(await database.query(options.sql), options, terminal)
    } finally {
      await database.close()
    }
  } finally {
    await lake.close()
  }
  return EXIT.done
}

async function print(result: QueryResult, options: QueryOptions, terminal: Terminal): Promise<void> {
  if (!result.hasRows) {
    for await (const _chunk of result.chunks());
    return
  }
  switch (options.format) {
    case 'table':
      return printTable(result, options.limit, terminal)
    case 'json':
      return printJson(result, terminal)
    case 'csv':
      return printCsv(result, terminal)
    default:
      return unreachable(options.format)
  }
}

/** Also used for the first rows of a table after a replay. */
export async function printTable(result: QueryResult, limit: number, terminal: Terminal): Promise<void> {
  const rows: (readonly string[])[] = []
  let more = false
  reading: for await (const chunk of result.chunks()) {
    for (const row of chunk) {
      if (limit > 0 && rows.length === limit) {
        more = true
        break reading
      }
      rows.push(row.map(cellText))
    }
  }
  const columns = result.columns.map((name, index) => ({ name, numeric: isNumeric(result.types[index]!) }))
  await terminal.out.write(textTable(columns, rows, terminal.out))
  if (rows.length === 0) await terminal.out.line(terminal.out.style('dim', ' (no rows)'))
  if (more) {
    await terminal.err.line(
      terminal.err.style('dim', ` (the first ${limit} rows; --limit 0 shows all, --format json or csv too)`),
    )
  }
}

function isNumeric(type: string): boolean {
  return /^(U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|UINTEGER|FLOAT|DOUBLE|DECIMAL.*|BIGNUM)$/.test(type)
}

/** One array, one object a line: readable as a whole by a JSON parser, and line by line by a person. */
async function printJson(result: QueryResult, terminal: Terminal): Promise<void> {
  const names = result.columns.map((name) => JSON.stringify(name))
  let separator = '[\n'
  for await (const chunk of result.chunks()) {
    const lines = chunk.map((row) => `  {${row.map((cell, i) => `${names[i]}:${cellJson(cell)}`).join(',')}}`)
    await terminal.out.write(separator + lines.join(',\n'))
    separator = ',\n'
  }
  await terminal.out.write(separator === '[\n' ? '[]\n' : '\n]\n')
}

async function printCsv(result: QueryResult, terminal: Terminal): Promise<void> {
  await terminal.out.write(csvLine(result.columns))
  for await (const chunk of result.chunks()) await terminal.out.write(chunk.map(csvLine).join(''))
}

function csvLine(cells: readonly Cell[]): string {
  return `${cells.map(cellCsv).join(',')}\n`
}
