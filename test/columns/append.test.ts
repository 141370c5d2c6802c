import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fieldsOf } from '../../src/avro/fields.ts'
import { parseAvroSchema } from '../../src/avro/schema-model.ts'
import { compileAppender } from '../../src/columns/append.ts'
import { createBatch } from '../../src/columns/column.ts'
import { compileRow, valueAt } from '../../src/columns/row.ts'
import { recordOf } from '../avro/decode-one.ts'
import { SchemaMaker } from '../avro/schemas.ts'
import { randomBatch, textsOf } from './schema-columns.ts'

function appendTo(schema: unknown, row: unknown): { message: string | null; values: readonly unknown[] } {
  const fields = fieldsOf(parseAvroSchema(schema))
  const { columns } = createBatch(fields)
  const message = compileAppender(fields)(row, columns)
  const values = columns.flatMap((column) =>
    Array.from({ length: column.length }, (_, i) => valueAt(column, i)),
  )
  return { message, values }
}

const messageOf = (type: unknown, f: unknown) => appendTo(recordOf(type), { f }).message
const long = (logicalType: string) => ({ type: 'long', logicalType })
const decimal = { type: 'bytes', logicalType: 'decimal', precision: 4, scale: 2 }
const point = {
  type: 'record',
  name: 'P',
  fields: [
    { name: 'x', type: 'double' },
    { name: 'y', type: ['null', 'int'] },
  ],
}

describe('appending', () => {
  it('gives back every row that was read, also from the row object itself', () => {
    fc.assert(
      fc.property(fc.gen(), (g) => {
        const batch = randomBatch(new SchemaMaker(g, false), 5)
        const fields = batch.columns.map((column) => column.field)
        const append = compileAppender(fields)
        const copy = createBatch(fields)
        const reader = compileRow(fields)
        reader.bind(batch.columns)
        for (let row = 0; row < batch.length; row++) {
          expect(append(row % 2 === 0 ? reader.at(row) : { ...reader.at(row) }, copy.columns)).toBeNull()
        }
        copy.length = copy.columns[0]!.length
        expect(textsOf(copy)).toEqual(textsOf(batch))
      }),
      { numRuns: 300 },
    )
  })

  it('takes a missing nullable field for null', () => {
    const schema = recordOf(['null', 'int'], { name: 'g', type: 'string' })
    expect(appendTo(schema, { g: 'x' })).toEqual({ message: null, values: [null, 'x'] })
    expect(appendTo(schema, { f: undefined, g: 'x' }).values).toEqual([null, 'x'])
  })

  it('takes whole numbers for longs and rescales decimals that stay exact', () => {
    expect(appendTo(recordOf('long'), { f: 5 }).values).toEqual([5n])
    expect(appendTo(recordOf('long'), { f: -(2 ** 53) + 1 }).values).toEqual([-(2n ** 53n) + 1n])
    expect(appendTo(recordOf(long('timestamp-millis')), { f: 5n }).values).toEqual([5])
    expect(appendTo(recordOf(decimal), { f: { unscaled: 5n, scale: 0 } }).values).toEqual([
      { unscaled: 500n, scale: 2 },
    ])
    expect(appendTo(recordOf(decimal), { f: { unscaled: -5000n, scale: 3 } }).values).toEqual([
      { unscaled: -500n, scale: 2 },
    ])
  })
})

describe('a row that is refused', () => {
  it.each([
    [undefined, 'the row is undefined, not an object: does the function return it?'],
    ['x', 'the row is a string, not an object'],
    [[1], 'the row is an array, not an object'],
    [{}, 'field f is missing'],
    [{ f: null }, 'field f is null, and it may not be'],
    [{ f: 1, g: 2 }, 'field g is not in the schema, which has f'],
    [{ f: 1, constructor: 2 }, 'field constructor is not in the schema, which has f'],
  ])('for its shape: %j', (row, message) => {
    expect(appendTo(recordOf('int'), row)).toEqual({ message, values: [] })
  })

  it.each([
    ['int', 1.5, 'field f is 1.5, not a 32-bit integer'],
    ['int', 2 ** 31, 'field f is 2147483648, not a 32-bit integer'],
    ['int', Number.NaN, 'field f is NaN, not a 32-bit integer'],
    ['int', 1n, 'field f is 1n, not a 32-bit integer'],
    ['long', 2 ** 53, 'field f is 9007199254740992, not a 64-bit integer'],
    ['long', 2n ** 63n, 'field f is 9223372036854775808n, not a 64-bit integer'],
    ['long', '5', 'field f is "5", not a 64-bit integer'],
    [long('timestamp-millis'), 0.5, 'field f is 0.5, not a whole number of milliseconds'],
    [long('timestamp-millis'), 1e17, 'not a whole number of milliseconds that a table can hold'],
    [long('timestamp-micros'), 1e17, 'not a whole number of microseconds'],
    [long('timestamp-millis'), new Date(0), 'field f is a Date, not a whole number of milliseconds'],
    ['float', 1e300, 'field f is 1e+300, not in the range of a float'],
    ['double', '1', 'field f is "1", not a number'],
    ['boolean', 1, 'field f is 1, not a boolean'],
    ['string', 1, 'field f is 1, not a string'],
    ['string', '\ud800', 'half of a surrogate pair'],
    ['string', ['a'.repeat(50)], 'field f is an array, not a string'],
    ['int', 'a'.repeat(50), `field f is "${'a'.repeat(40)}…", not a 32-bit integer`],
    ['bytes', [1], 'field f is an array, not a Uint8Array'],
    [
      { type: 'fixed', name: 'F', size: 2 },
      Uint8Array.of(1),
      'field f is a Uint8Array of 1 bytes, not a Uint8Array of 2 bytes',
    ],
    [{ type: 'enum', name: 'E', symbols: ['A', 'B'] }, 'C', 'field f is "C", not one of A, B'],
    [decimal, 1.5, 'field f is 1.5, not a decimal { unscaled: bigint, scale: number }'],
    [decimal, { unscaled: 10_000n, scale: 2 }, 'field f is 10000n at scale 2, which has more than 4 digits'],
    [
      decimal,
      { unscaled: 1n, scale: 3 },
      'field f is 1n at scale 3, which does not fit a scale of 2 without rounding',
    ],
    [decimal, { unscaled: 1n, scale: -1 }, 'not a decimal'],
    [{ type: 'array', items: 'int' }, new Set([1]), 'field f is a Set, not an array'],
    [{ type: 'array', items: 'int' }, [1, null], 'field f[] is null, and it may not be'],
    [
      { type: 'map', values: 'int' },
      new Map([['a', 1]]),
      "field f is a Map, not a plain object with a map's entries",
    ],
    [{ type: 'map', values: 'int' }, { a: 'x' }, 'field f{} is "x", not a 32-bit integer'],
    [point, 5, 'field f is a number, not an object'],
    [point, { x: 'a' }, 'field f.x is "a", not a number'],
    [point, { x: 1, z: 2 }, 'field f.z is not in the schema, which has x, y'],
    [['int', 'string'], 5, 'field f is 5, not an object with one of int, string'],
    [['int', 'string'], { long: 5 }, 'field f is an object, not an object with one of int, string'],
    [['int', 'string'], { int: 1, string: 'a' }, 'not an object with one of int, string'],
    [['int', 'string'], { int: null }, 'field f.int is null, and it may not be'],
  ])('for a value: %j %s', (type, value, message) => {
    expect(messageOf(type, value)).toContain(message)
  })

  it('leaves nothing behind, at any depth', () => {
    const schema = recordOf(
      { type: 'array', items: { type: 'map', values: point } },
      { name: 'g', type: ['null', 'P'] },
      { name: 'h', type: ['int', { type: 'array', items: 'int' }] },
    )
    const fields = fieldsOf(parseAvroSchema(schema))
    const batch = createBatch(fields)
    const append = compileAppender(fields)
    const good = { f: [{ a: { x: 1 } }, {}], g: { x: 2, y: 3 }, h: { array: [1, 2] } }
    const bad = [
      { ...good, h: { array: [1, 'x'] } },
      { ...good, g: { x: 2, y: 'x' } },
      { ...good, f: [{ a: { x: 1 } }, { b: { x: 'x' } }] },
    ]
    for (const row of [good, ...bad, good, ...bad]) append(row, batch.columns)
    batch.length = batch.columns[0]!.length
    const texts = textsOf(batch)
    expect(texts).toHaveLength(2)
    expect(texts[1]).toBe(texts[0])
    expect(batch.columns.map((column) => column.length)).toEqual([2, 2, 2])
  })

  it('leaves nothing behind where a getter throws', () => {
    const fields = fieldsOf(parseAvroSchema(recordOf('int', { name: 'g', type: 'int' })))
    const { columns } = createBatch(fields)
    const row = {
      f: 1,
      get g(): number {
        throw new Error('from a getter')
      },
    }
    expect(() => compileAppender(fields)(row, columns)).toThrow('from a getter')
    expect(columns.map((column) => column.length)).toEqual([0, 0])
  })
})
