import { resolve } from 'node:path'
import type { Field } from '../columns/column-type.ts'
import { PipelineError, unreachable } from '../errors.ts'
import { filePath, type LakeTable } from './lake.ts'

/**
 * SQL for DuckDB that makes one table of the lake a view. It reads exactly the files that the Delta log lists, never
 * what a folder holds: a folder also has files of epochs that were never published and of incarnations that were replaced.
 * An empty relation with the types of the log comes first, so that a table without files has columns, a column that older files
 * lack is null, and a widened one has its new type; DuckDB pushes filters and columns through it.
 */
export function viewSql(root: string, table: LakeTable): string {
  const files = [...table.state.files.values()]
  const rows = files.length === 0 ? '' : ` union all by name select * from ${filesSql(root, table)}`
  return createView(table, rows)
}

/** The same view without rows, which asks no file. */
export function columnsViewSql(table: LakeTable): string {
  return createView(table, '')
}

function createView(table: LakeTable, rows: string): string {
  const fields = table.state.fields ?? []
  const columns = fields.map((field) => identifier(field.name)).join(', ')
  const typed = fields.map((field) => `null::${sqlType(field)} as ${identifier(field.name)}`).join(', ')
  const empty = `select ${typed} where false`
  return `create or replace view ${viewName(table.path)} as select ${columns} from (${empty}${rows})`
}

/** Layers are schemas. */
export function schemaOf(table: LakeTable): string | null {
  const slash = table.path.indexOf('/')
  return slash === -1 ? null : identifier(table.path.slice(0, slash))
}

function viewName(path: string): string {
  return path.split('/').map(identifier).join('.')
}

function filesSql(root: string, table: LakeTable): string {
  const files = [...table.state.files.values()]
  const paths = files.map((file) => text(literalGlob(filePath(root, table, file.path))))
  const partitions = table.state.partitionColumns
  const options = ['union_by_name = true']
  if (partitions.length === 0) options.push('hive_partitioning = false')
  else {
    checkLakePath(root, table)
    const types = partitions.map((name) => `${text(name)}: ${hiveType(table, name)}`)
    options.push('hive_partitioning = true', `hive_types = {${types.join(', ')}}`)
  }
  return `read_parquet([${paths.join(', ')}], ${options.join(', ')})`
}

function hiveType(table: LakeTable, name: string): string {
  const field = table.state.fields?.find((candidate) => candidate.name === name)
  return field === undefined ? 'VARCHAR' : sqlType(field)
}

/** DuckDB takes every `name=value` folder of a path for a partition, those above the lake too. */
function checkLakePath(root: string, table: LakeTable): void {
  const names = new Set(table.state.fields?.map((field) => field.name.toLowerCase()))
  const clash = resolve(root)
    .split(/[\\/]/)
    .find((folder) => folder.includes('=') && names.has(folder.split('=')[0]!.toLowerCase()))
  if (clash === undefined) return
  throw new PipelineError(
    'LAKE_PATH_AMBIGUOUS',
    `the folder '${clash}' above the lake looks like a column of ${table.path}`,
    {
      advice:
        'Move the lake (one in S3: its --cache-dir) to a path without that folder: in a Hive-style path it would be read as a partition.',
    },
  )
}

/** DuckDB takes names of files for patterns: a bracket expression is the only way to say a character as it is. */
function literalGlob(path: string): string {
  return path.replaceAll(/[*?[]/g, (character) => `[${character}]`)
}

export function sqlType(field: Field): string {
  const { type } = field
  switch (type.kind) {
    case 'boolean':
      return 'BOOLEAN'
    case 'int32':
      return 'INTEGER'
    case 'int64':
      return 'BIGINT'
    case 'float32':
      return 'FLOAT'
    case 'float64':
      return 'DOUBLE'
    case 'string':
    case 'enum':
      return 'VARCHAR'
    case 'bytes':
    case 'fixed':
      return 'BLOB'
    case 'date':
      return 'DATE'
    case 'time':
      return 'BIGINT'
    case 'timestamp':
      return type.local ? 'TIMESTAMP' : 'TIMESTAMP WITH TIME ZONE'
    case 'decimal':
      return `DECIMAL(${type.precision}, ${type.scale})`
    case 'list':
      return `${sqlType(type.element)}[]`
    case 'map':
      return `MAP(VARCHAR, ${sqlType(type.value)})`
    case 'struct':
      return `STRUCT(${type.fields.map((inner) => `${identifier(inner.name)} ${sqlType(inner)}`).join(', ')})`
    default:
      return unreachable(type)
  }
}

export function identifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

export function text(value: string): string {
  return `'${value.replaceAll("'", "''")}'`
}
