import type { Field } from '../../src/columns/column-type.ts'
import { createBatch, setValid } from '../../src/columns/column.ts'
import type { Column } from '../../src/columns/column.ts'
import { appendNull, appendText, binaryColumn, int32Column, int64Column } from '../../src/columns/write.ts'
import { PipelineError, unreachable } from '../../src/errors.ts'
import type { StoredRows, TableDecoder } from '../../src/ports.ts'
import { appendArrow, type Misfit } from './arrow-columns.ts'
import { tableFromIPC } from './arrow-js.ts'
import { readParquetFile } from './parquet-writer.ts'

/** Parquet files as columns again: what `parquetEncoder` wrote, and what others have made of it, bit by bit. */
export function parquetDecoder(): TableDecoder {
  return { decode }
}

function decode(fields: readonly Field[], { file, body }: StoredRows) {
  const refuse: Misfit = (column, why) => {
    throw new PipelineError('FILE_MISFIT', `column ${column} of file ${file.path} ${why}`, {
      advice:
        'The rows were written with another schema than the program has now. Give the program a schema that can hold them, or begin again with --fresh.',
    })
  }
  const table = tableFromIPC(readParquetFile(body))
  const batch = createBatch(fields)
  const { partitionValues } = file
  const places = new Map(table.schema.fields.map(({ name }, index) => [name, index]))
  for (const { data } of table.batches) {
    for (const column of batch.columns) {
      const place = places.get(column.field.name)
      if (place === undefined) continue
      appendArrow(column, data.children[place]!, refuse)
    }
    batch.length += data.length
  }
  for (const column of batch.columns) {
    const { name } = column.field
    if (!places.has(name)) fill(column, partitionValues[name], batch.length, refuse)
  }
  return batch
}

/** A column that is not in the file: of a partition, as Delta writes its value, or one that the table got later. */
function fill(column: Column, value: string | null | undefined, rows: number, refuse: Misfit): void {
  const { name, nullable, type } = column.field
  // Delta cannot tell an empty string from null.
  const text = value === null && type.kind === 'string' && !nullable ? '' : (value ?? null)
  if (text === null && !nullable) refuse(name, 'is missing')
  for (let row = 0; row < rows; row++) {
    if (text === null) appendAbsent(column)
    else {
      appendPartitionText(column, text, refuse)
      if (nullable) setValid(column, row, true)
    }
  }
}

function appendAbsent(column: Column): void {
  if (column.storage === 'list' || column.storage === 'map') {
    column.reserve(column.length + 1)
    column.offsets[column.length + 1] = column.offsets[column.length]!
    column.length++
    setValid(column, column.length - 1, false)
    return
  }
  if (column.storage === 'struct') for (const child of column.children) appendSlot(child)
  appendNull(column)
}

/** Of a child below a null: any value, or none. */
function appendSlot(column: Column): void {
  if (column.field.nullable) return appendAbsent(column)
  column.reserve(column.length + 1)
  if (column.storage === 'struct') for (const child of column.children) appendSlot(child)
  else if (column.storage === 'binary' || column.storage === 'list' || column.storage === 'map')
    column.offsets[column.length + 1] = column.offsets[column.length]!
  column.length++
}

function appendPartitionText(column: Column, text: string, refuse: Misfit): void {
  const { name, type } = column.field
  column.reserve(column.length + 1)
  const row = column.length
  switch (type.kind) {
    case 'string':
      return appendText(binaryColumn(column), text)
    case 'enum': {
      const index = type.symbols.indexOf(text)
      if (index < 0) refuse(name, `has the symbol ${text}, which the program does not know`)
      int32Column(column).values[row] = index
      break
    }
    case 'date':
      int32Column(column).values[row] = Date.parse(`${text}T00:00:00Z`) / 86_400_000
      break
    case 'boolean':
      if (column.storage !== 'boolean') return
      if (text === 'true') column.bits[row >> 3]! |= 1 << (row & 7)
      else column.bits[row >> 3]! &= ~(1 << (row & 7))
      break
    case 'int32':
      int32Column(column).values[row] = Number(text)
      break
    case 'time':
    case 'int64': {
      if (column.storage === 'int32') column.values[row] = Number(text)
      else {
        const value = BigInt(text)
        int64Column(column).words[row * 2] = Number(BigInt.asIntN(32, value))
        int64Column(column).words[row * 2 + 1] = Number(value >> 32n)
      }
      break
    }
    case 'float32':
    case 'float64':
    case 'bytes':
    case 'fixed':
    case 'timestamp':
    case 'decimal':
    case 'list':
    case 'map':
    case 'struct':
      return refuse(name, `is a partition column of type ${type.kind}, which is never written`)
    default:
      return unreachable(type)
  }
  column.length++
}
