import { parquetReadObjects } from 'hyparquet'
import type { Cells, OracleResult } from '../../src/testing/oracle/oracle.ts'
import { type Cell, floatText, hexOf } from '../../src/testing/simulation/jsonl-encoder.ts'
import { tablePaths } from '../../src/testing/simulation/table-reader.ts'
import type { RowsOfFile } from '../../src/testing/simulation/verify.ts'
import type { Workload } from './workload.ts'

/** Reads every Parquet file that a log has ever named, with the types and the partition values of the log. */
export async function readParquetFiles(objects: ReadonlyMap<string, Uint8Array>): Promise<RowsOfFile> {
  const files = new Map<string, readonly Cells[]>()
  for (const table of tablePaths(objects)) {
    const actions = [...objects]
      .filter(([key]) => key.startsWith(`${table}/_delta_log/`) && key.endsWith('.json'))
      .flatMap(([, body]) => new TextDecoder().decode(body).split('\n').filter(Boolean))
      .map((line) => JSON.parse(line) as Action)
    const schema = actions.find((action) => action.metaData !== undefined)!.metaData!.schemaString
    const fields = (JSON.parse(schema) as { fields: readonly DeltaField[] }).fields
    for (const { add } of actions) {
      if (add !== undefined) files.set(`${table}/${add.path}`, await readFile(objects, table, add, fields))
    }
  }
  return (path, file) => files.get(`${path}/${file}`) ?? []
}

interface Action {
  readonly add?: AddedFile
  readonly metaData?: { readonly schemaString: string }
}

interface AddedFile {
  readonly path: string
  readonly partitionValues: Readonly<Record<string, string | null>>
}

interface DeltaField {
  readonly name: string
  readonly type: unknown
}

async function readFile(
  objects: ReadonlyMap<string, Uint8Array>,
  table: string,
  { path, partitionValues }: AddedFile,
  fields: readonly DeltaField[],
): Promise<readonly Cells[]> {
  const body = objects.get(`${table}/${decodeURIComponent(path)}`)!
  const rows = await parquetReadObjects({
    file: body.slice().buffer,
    utf8: false,
    parsers: { timestampFromMicroseconds: (micros) => micros, stringFromBytes: textOf },
  })
  // A derived partition column (`seen_hour`) is of the table, not of the row.
  const own = fields.filter(({ name }) => !/_(hour|day|month)$/.test(name))
  return rows.map((row) =>
    Object.fromEntries(
      own.map(({ name, type }) => [
        name,
        name in partitionValues ? partitionValues[name]! : cellOf(type, row[name]),
      ]),
    ),
  )
}

/** hyparquet's own decoder would swallow a byte order mark. */
function textOf(bytes: Uint8Array): string {
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes)
}

function cellOf(type: unknown, value: unknown): Cell {
  if (value === null || value === undefined) return null
  if (typeof type === 'object') {
    const nested = type as { elementType?: unknown; fields?: readonly DeltaField[] }
    if (nested.fields === undefined)
      return (value as unknown[]).map((item) => cellOf(nested.elementType, item))
    const record = value as Record<string, unknown>
    return Object.fromEntries(
      nested.fields.map((field) => [field.name, cellOf(field.type, record[field.name])]),
    )
  }
  const decimal = /^decimal\(\d+,(\d+)\)$/.exec(type as string)
  if (decimal !== null) {
    const scale = Number(decimal[1])
    // hyparquet gives a double; the workloads' decimals are small enough for it to tell which decimal it was.
    return `${BigInt(Math.round((value as number) * 10 ** scale))}e-${scale}`
  }
  switch (type as string) {
    case 'boolean':
      return value as boolean
    case 'double':
    case 'float':
      return floatText(value as number)
    case 'binary':
      return hexOf(value as Uint8Array)
    default:
      return `${value as string | number | bigint}`
  }
}

/** A partition value cannot be an empty string: Delta takes it for null. */
export function withoutEmptyPartitions(oracle: OracleResult, { spec }: Workload): OracleResult {
  const tables = new Map(oracle.tables)
  for (const { layer, name, partitionBy } of spec.tables) {
    const path = `${layer}/${name}`
    const fields = partitionBy.filter((by) => by.kind === 'value').map((by) => by.field)
    const rows = tables.get(path)!.map((row) => ({
      ...row,
      ...Object.fromEntries(fields.filter((field) => row[field] === '').map((field) => [field, null])),
    }))
    tables.set(path, rows)
  }
  return { ...oracle, tables }
}
