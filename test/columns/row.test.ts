import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fieldsOf } from '../../src/avro/fields.ts'
import { parseAvroSchema } from '../../src/avro/schema-model.ts'
import { compileAppender } from '../../src/columns/append.ts'
import type { ColumnBatch } from '../../src/columns/column.ts'
import { createBatch } from '../../src/columns/column.ts'
import { jsonValueAt } from '../../src/columns/json-value.ts'
import { compileRow, valueAt } from '../../src/columns/row.ts'
import { recordOf } from '../avro/decode-one.ts'
import { textOf } from '../avro/reference.ts'
import { SchemaMaker } from '../avro/schemas.ts'
import { randomBatch, textsOf } from './schema-columns.ts'

function batchOf(schema: unknown, ...rows: readonly unknown[]): ColumnBatch {
  const fields = fieldsOf(parseAvroSchema(schema))
  const batch = createBatch(fields)
  const append = compileAppender(fields)
  for (const row of rows) expect(append(row, batch.columns)).toBeNull()
  batch.length = rows.length
  return batch
}

const fieldsFrom = (batch: ColumnBatch) => batch.columns.map((column) => column.field)

/** The values of one field, through JSON. */
function jsonOf(type: unknown, ...values: readonly unknown[]): unknown {
  const { columns } = batchOf(recordOf(type), ...values.map((f) => ({ f })))
  return values.map((_, row) => jsonValueAt(columns[0]!, row))
}

describe('a row object', () => {
  it('reads what valueAt reads, whatever the schema', () => {
    fc.assert(
      fc.property(fc.gen(), (g) => {
        const batch = randomBatch(new SchemaMaker(g, false), 4)
        const reader = compileRow(fieldsFrom(batch))
        reader.bind(batch.columns)
        const rows = Array.from({ length: batch.length }, (_, row) => textOf(reader.at(row)))
        expect(rows).toEqual(textsOf(batch))
      }),
      { numRuns: 200 },
    )
  })

  it('is one object that moves, and a copy of it stays', () => {
    const batch = batchOf(recordOf('int'), { f: 1 }, { f: 2 })
    const reader = compileRow(fieldsFrom(batch))
    reader.bind(batch.columns)
    const first = { ...reader.at(0) }
    expect(reader.at(1)).toBe(reader.row)
    expect([first, { ...reader.row }]).toEqual([{ f: 1 }, { f: 2 }])
    expect(Object.keys(reader.row)).toEqual(['f'])
  })

  it('reads columns that have grown once it is bound again', () => {
    const fields = fieldsOf(parseAvroSchema(recordOf('string')))
    const { columns } = createBatch(fields)
    const append = compileAppender(fields)
    const reader = compileRow(fields)
    for (let row = 0; row < 500; row++) append({ f: `row ${row}` }, columns)
    reader.bind(columns)
    expect({ ...reader.at(499) }).toEqual({ f: 'row 499' })
  })

  it('takes every name for a property, and none for code', () => {
    const names = ['__proto__', 'constructor', 'row', 'i', 'columns']
    const fields = names.map((name) => ({ name, type: { kind: 'int32' }, nullable: false }) as const)
    const odd = { name: '"]}; throw 1 //\u2028', type: { kind: 'int32' }, nullable: true } as const
    const { columns } = createBatch([...fields, odd])
    const own = Object.fromEntries(names.map((name, index) => [name, index]))
    expect(compileAppender([...fields, odd])({ ...own, [odd.name]: 9 }, columns)).toBeNull()
    const reader = compileRow([...fields, odd])
    reader.bind(columns)
    expect(Object.entries(reader.at(0))).toEqual([...Object.entries(own), [odd.name, 9]])
  })

  it('has objects for records, and null where the record is', () => {
    const point = { type: 'record', name: 'P', fields: [{ name: 'x', type: ['null', 'double'] }] }
    const batch = batchOf(recordOf(['null', point]), { f: { x: 1.5 } }, { f: null }, { f: {} })
    const reader = compileRow(fieldsFrom(batch))
    reader.bind(batch.columns)
    const rows = [0, 1, 2].map((row) => JSON.stringify(reader.at(row)))
    expect(rows).toEqual(['{"f":{"x":1.5}}', '{"f":null}', '{"f":{"x":null}}'])
    const kept = structuredClone(reader.at(0))
    reader.at(2)
    expect(kept).toEqual({ f: { x: 1.5 } })
  })

  it('copies bytes: what a callback keeps is not overwritten', () => {
    const batch = batchOf(recordOf('bytes'), { f: Uint8Array.of(1, 2) })
    const bytes = valueAt(batch.columns[0]!, 0)
    const [column] = batch.columns
    if (column?.storage === 'binary') column.data.fill(9)
    expect(bytes).toEqual(Uint8Array.of(1, 2))
  })
})

describe('longs', () => {
  it.each([
    0n,
    -1n,
    2n ** 53n,
    2n ** 53n + 1n,
    -(2n ** 53n) - 1n,
    2n ** 63n - 1n,
    -(2n ** 63n),
    2n ** 32n,
    -(2n ** 32n),
  ])('%s are exact', (long) => {
    expect(valueAt(batchOf(recordOf('long'), { f: long }).columns[0]!, 0)).toBe(long)
  })
})

describe('values as JSON', () => {
  const long = (logicalType: string) => ({ type: 'long', logicalType })
  it('are numbers for longs as far as numbers are exact', () => {
    expect(jsonOf('long', 5n, 2n ** 53n - 1n, 2n ** 53n, -(2n ** 63n))).toEqual([
      5,
      9007199254740991,
      '9007199254740992',
      '-9223372036854775808',
    ])
  })

  it('are ISO 8601 for times, also before 1970, and the integer where there is no such time', () => {
    expect(jsonOf(long('timestamp-millis'), 0, -1, 1_709_294_400_123, 9e15)).toEqual([
      '1970-01-01T00:00:00.000Z',
      '1969-12-31T23:59:59.999Z',
      '2024-03-01T12:00:00.123Z',
      9e15,
    ])
    expect(jsonOf(long('timestamp-micros'), 0n, -1n, -1000n, 2n ** 63n - 1n)).toEqual([
      '1970-01-01T00:00:00.000000Z',
      '1969-12-31T23:59:59.999999Z',
      '1969-12-31T23:59:59.999000Z',
      '9223372036854775807',
    ])
    expect(jsonOf(long('local-timestamp-millis'), 1)).toEqual(['1970-01-01T00:00:00.001'])
    expect(jsonOf(long('time-micros'), 86_399_999_999n, -5n)).toEqual(['23:59:59.999999', -5])
    expect(jsonOf({ type: 'int', logicalType: 'time-millis' }, 1, 86_400_000)).toEqual([
      '00:00:00.001',
      86_400_000,
    ])
    expect(jsonOf({ type: 'int', logicalType: 'date' }, -1, 19_783, 2 ** 31 - 1)).toEqual([
      '1969-12-31',
      '2024-03-01',
      2 ** 31 - 1,
    ])
  })

  it('are strings for what JSON has no number for', () => {
    expect(jsonOf('double', Number.NaN, -Infinity, 0.1)).toEqual(['NaN', '-Infinity', 0.1])
    const decimal = { type: 'bytes', logicalType: 'decimal', precision: 9, scale: 2 }
    expect(jsonOf(decimal, { unscaled: -5n, scale: 2 }, { unscaled: 12n, scale: 0 })).toEqual([
      '-0.05',
      '12.00',
    ])
    expect(jsonOf('bytes', Uint8Array.of(0, 171, 255))).toEqual(['00abff'])
  })

  it('name the branch of a union', () => {
    expect(jsonOf(['null', 'int', 'string'], { int: 1 }, null, { string: 'a' })).toEqual([
      { int: 1 },
      null,
      { string: 'a' },
    ])
  })

  it('can be written, whatever the schema', () => {
    fc.assert(
      fc.property(fc.gen(), (g) => {
        const batch = randomBatch(new SchemaMaker(g, false), 3)
        for (let row = 0; row < batch.length; row++) {
          const value = batch.columns.map((column) => jsonValueAt(column, row))
          expect(() => JSON.stringify(value)).not.toThrow()
        }
      }),
      { numRuns: 100 },
    )
  })
})
