import { PipelineError } from '../../src/errors.ts'
import type { TableShape } from '../../src/ports.ts'
import { deltaField } from './schema-json.ts'
import type { DeltaField, DeltaType } from './schema-json.ts'

export interface TableSchema {
  /** The row's columns, then the derived partition columns. */
  readonly fields: readonly DeltaField[]
  readonly partitionColumns: readonly string[]
}

/** What a shape is in Delta. Throws TABLE_BAD_SCHEMA where Delta cannot have such a table. */
export function tableSchemaOf(shape: TableShape): TableSchema {
  const fields = shape.fields.map(deltaField)
  const partitionColumns: string[] = []
  for (const partition of shape.partitionBy) {
    const source = shape.fields.find((field) => field.name === partition.field)
    if (source === undefined)
      throw badSchema(shape, `it is partitioned by ${partition.field}, which it does not have`)
    if (partition.kind === 'value') partitionColumns.push(partition.field)
    else {
      partitionColumns.push(partition.name)
      fields.push({ name: partition.name, type: 'string', nullable: source.nullable, metadata: {} })
    }
  }
  checkFields(shape, fields, '')
  if (fields.length === partitionColumns.length)
    throw badSchema(shape, 'all its columns are partition columns')
  return { fields, partitionColumns }
}

/** Delta's names are unique regardless of case, and Parquet has no record without fields. */
function checkFields(shape: TableShape, fields: readonly DeltaField[], inside: string): void {
  if (fields.length === 0)
    throw badSchema(shape, inside === '' ? 'it has no columns' : `the record ${inside} has no fields`)
  const names = new Map<string, string>()
  for (const { name, type } of fields) {
    const other = names.get(name.toLowerCase())
    if (other !== undefined) {
      const where = inside === '' ? '' : ` in ${inside}`
      const why =
        other === name ? `two columns are called ${name}` : `${other} and ${name} differ only in case`
      throw badSchema(shape, why + where)
    }
    names.set(name.toLowerCase(), name)
    checkType(shape, type, inside === '' ? name : `${inside}.${name}`)
  }
}

function checkType(shape: TableShape, type: DeltaType, path: string): void {
  if (typeof type === 'string') return
  if (type.type === 'struct') checkFields(shape, type.fields, path)
  else checkType(shape, type.type === 'array' ? type.elementType : type.valueType, path)
}

function badSchema(shape: TableShape, why: string): PipelineError {
  return new PipelineError('TABLE_BAD_SCHEMA', `Table ${shape.path}: ${why}.`, {
    advice: 'Rename or leave out the column with a map step before the table.',
  })
}
