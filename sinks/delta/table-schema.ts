import { PipelineError } from '../../src/errors.ts'
import type { TableShape } from '../../src/ports.ts'
import { deltaField } from './schema-json.ts'
import type { DeltaField } from './schema-json.ts'

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
  checkNames(shape, fields)
  return { fields, partitionColumns }
}

/** Delta's names are unique regardless of case. */
function checkNames(shape: TableShape, fields: readonly DeltaField[]): void {
  const names = new Map<string, string>()
  for (const { name } of fields) {
    const other = names.get(name.toLowerCase())
    if (other !== undefined) {
      throw badSchema(
        shape,
        other === name ? `two columns are called ${name}` : `${other} and ${name} differ only in case`,
      )
    }
    names.set(name.toLowerCase(), name)
  }
}

function badSchema(shape: TableShape, why: string): PipelineError {
  return new PipelineError('TABLE_BAD_SCHEMA', `Table ${shape.path}: ${why}.`, {
    advice: 'Rename the column with a map step before the table.',
  })
}
