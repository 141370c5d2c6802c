import { describe, expect, test } from 'vitest'
import { parquetDecoder } from '../../sinks/parquet/parquet-decoder.ts'
import { parquetEncoder } from '../../sinks/parquet/parquet-encoder.ts'
import type { Field } from '../../src/columns/column-type.ts'
import type { ColumnBatch } from '../../src/columns/column.ts'
import { valueAt } from '../../src/columns/row.ts'
import type { EncodedFile, PartitionColumn } from '../../src/ports.ts'
import { everyType } from './every-type.ts'
import { batchOf, field, INT, LONG, MICROS, MILLIS, type RowObject, shapeOf, STRING } from './table-kit.ts'

const encoder = parquetEncoder()
const decoder = parquetDecoder()

function rowsOf({ length, columns }: ColumnBatch): readonly RowObject[] {
  return Array.from({ length }, (_, row) =>
    Object.fromEntries(columns.map((column) => [column.field.name, valueAt(column, row)])),
  )
}

function decode(fields: readonly Field[], { body, partitionValues }: EncodedFile): readonly RowObject[] {
  return rowsOf(decoder.decode(fields, { file: { path: 'a.parquet', partitionValues }, body }))
}

function encode(
  fields: readonly Field[],
  rows: readonly RowObject[],
  partitionBy: readonly PartitionColumn[] = [],
): readonly EncodedFile[] {
  const shape = shapeOf('t', fields, partitionBy, { rowGroupRows: 100 })
  return encoder.encode(shape, batchOf(fields, rows), null, rows.length)
}

describe('parquetDecoder', () => {
  test.each([true, false])('gives back every value of every type (nullable: %s)', (nullable) => {
    const { fields, rows } = everyType(333, nullable)
    const [file] = encode(fields, rows)
    expect(decode(fields, file!)).toEqual(rowsOf(batchOf(fields, rows)))
  })

  test('gives columns by name, in the order that is asked for; one that the table got later is null', () => {
    const fields = [field('a', INT), field('b', STRING, true)]
    const [file] = encode(fields, [{ a: 1, b: 'x' }, { a: 2 }])
    const nested = field(
      'deep',
      { kind: 'struct', fields: [field('n', LONG), field('l', { kind: 'list', element: field('e', INT) })] },
      true,
    )
    const wanted = [fields[1]!, nested, field('m', { kind: 'map', value: field('v', INT) }, true), fields[0]!]
    expect(decode(wanted, file!)).toEqual([
      { b: 'x', deep: null, m: null, a: 1 },
      { b: null, deep: null, m: null, a: 2 },
    ])
  })

  test('gives partition columns back out of the log', () => {
    const fields = [
      field('text', STRING, true),
      field('color', { kind: 'enum', symbols: ['RED', 'BLUE'] }),
      field('isBig', { kind: 'boolean' }),
      field('day', { kind: 'date' }),
      field('count', LONG),
      field('n', INT, true),
      field('id', INT),
    ]
    const rows = [
      { text: 'a/b=ü %', color: 'BLUE', isBig: true, day: -1, count: -(2n ** 63n), n: null, id: 1 },
      { text: null, color: 'RED', isBig: false, day: 19_000, count: 2n ** 62n + 1n, n: -7, id: 2 },
    ]
    const by = fields.slice(0, -1).map(({ name }): PartitionColumn => ({ kind: 'value', field: name }))
    const files = encode(fields, rows, by)
    expect(files).toHaveLength(2)
    const found = files.flatMap((file) => decode(fields, file))
    expect(found.toSorted((a, b) => Number(a['id']) - Number(b['id']))).toEqual(rows)
  })

  test('reads a time in the unit of the program', () => {
    const [file] = encode([field('at', MILLIS)], [{ at: -1 }, { at: 253_402_300_799_999 }])
    expect(decode([field('at', MICROS)], file!)).toEqual([{ at: -1000n }, { at: 253_402_300_799_999_000n }])
  })

  test.each([
    ['a null', field('a', STRING), 'has a null'],
    ['a symbol', field('b', { kind: 'enum', symbols: ['x'] }), 'symbol y'],
    ['a type', field('b', LONG, true), 'Utf8'],
    ['a length', field('b', { kind: 'fixed', size: 2 }), '1 bytes'],
    ['a column', field('c', STRING), 'is missing'],
  ])('refuses %s that the program cannot hold', (_, wanted, message) => {
    const [file] = encode([field('a', STRING, true), field('b', STRING)], [{ a: null, b: 'y' }])
    expect(() => decode([wanted], file!)).toThrow(message)
  })
})
