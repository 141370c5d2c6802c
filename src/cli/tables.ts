import type { Field } from '../columns/column-type.ts'
import { EXIT, type ExitCode } from './failure.ts'
import { byteText, countText } from './format.ts'
import { type LakeTable, lakeTables } from './lake.ts'
import { sqlType } from './lake-views.ts'
import { openLake } from './open-lake.ts'
import type { Terminal } from './terminal.ts'
import { textTable } from './text-table.ts'

export interface TablesOptions {
  readonly lake: string
  readonly columns: boolean
  readonly format: 'table' | 'json'
}

/** `millrace tables`: what is in a lake. */
export async function tables(options: TablesOptions, terminal: Terminal): Promise<ExitCode> {
  const { out, err } = terminal
  const found = await tablesIn(options.lake)
  if (options.format === 'json') {
    await out.line(
      JSON.stringify(
        found.map((table) => tableJson(table, options.columns)),
        null,
        2,
      ),
    )
    return EXIT.done
  }
  if (found.length === 0) {
    await err.line(`${options.lake} has no tables yet: fill it with millrace replay`)
    return EXIT.done
  }
  await out.write(options.columns ? columnsText(found, terminal) : tablesText(found, terminal))
  return EXIT.done
}

async function tablesIn(name: string): Promise<readonly LakeTable[]> {
  const lake = await openLake(name)
  try {
    return await lakeTables(lake)
  } finally {
    await lake.close()
  }
}

function tablesText(found: readonly LakeTable[], { out }: Terminal): string {
  const rows = found.map((table) => {
    const { rows, files, bytes } = sizeOf(table)
    return [table.sqlName, countText(rows), countText(files), byteText(bytes), String(table.state.version)]
  })
  const columns = [
    { name: 'table', numeric: false },
    ...['rows', 'files', 'size', 'version'].map((name) => ({ name, numeric: true })),
  ]
  return textTable(columns, rows, out)
}

function columnsText(found: readonly LakeTable[], { out }: Terminal): string {
  const columns = ['table', 'column', 'type', 'null'].map((name) => ({ name, numeric: false }))
  const rows = found.flatMap((table) =>
    (table.state.fields ?? []).map((field, index) => [
      index === 0 ? table.sqlName : '',
      field.name,
      sqlType(field),
      field.nullable ? 'yes' : 'no',
    ]),
  )
  return textTable(columns, rows, out)
}

function tableJson(table: LakeTable, withColumns: boolean): object {
  const size = { table: table.sqlName, path: table.path, ...sizeOf(table), version: table.state.version }
  if (!withColumns) return size
  return { ...size, columns: (table.state.fields ?? []).map(columnJson) }
}

function columnJson(field: Field): object {
  return { name: field.name, type: sqlType(field), nullable: field.nullable }
}

function sizeOf(table: LakeTable): { rows: number; files: number; bytes: number } {
  const files = [...table.state.files.values()]
  return {
    rows: files.reduce((sum, file) => sum + file.rows, 0),
    files: files.length,
    bytes: files.reduce((sum, file) => sum + file.size, 0),
  }
}
