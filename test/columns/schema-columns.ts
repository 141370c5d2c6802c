import { compileDecoder } from '../../src/avro/decoder.ts'
import { fieldsOf } from '../../src/avro/fields.ts'
import { parseAvroSchema } from '../../src/avro/schema-model.ts'
import type { ColumnBatch } from '../../src/columns/column.ts'
import { createBatch } from '../../src/columns/column.ts'
import { valueAt } from '../../src/columns/row.ts'
import { referenceType, textOf } from '../avro/reference.ts'
import type { SchemaMaker } from '../avro/schemas.ts'

/** A batch of random rows of a random schema: of every type, nested, nullable. */
export function randomBatch(make: SchemaMaker, rows: number): ColumnBatch {
  const json = make.record(2)
  const schema = parseAvroSchema(json)
  const batch = createBatch(fieldsOf(schema))
  const decoder = compileDecoder(schema, schema)
  const type = referenceType(json)
  for (let row = 0; row < rows; row++) {
    const bytes = type.toBuffer(make.value(json))
    // A value that we refuse (a decimal with a digit too many) is left out.
    decoder.decode(bytes, Int32Array.of(0), Int32Array.of(bytes.length), 0, 0, 1, batch.columns)
  }
  batch.length = batch.columns[0]!.length
  return batch
}

/** All rows of a batch, as text that differs where the values do. */
export function textsOf(batch: ColumnBatch): readonly string[] {
  return Array.from({ length: batch.length }, (_, row) =>
    textOf(Object.fromEntries(batch.columns.map((column) => [column.field.name, valueAt(column, row)]))),
  )
}
