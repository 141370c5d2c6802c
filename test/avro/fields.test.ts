import { describe, expect, it } from 'vitest'
import { fieldsOf } from '../../src/avro/fields.ts'
import { parseAvroSchema } from '../../src/avro/schema-model.ts'
import { PipelineError } from '../../src/errors.ts'
import { recordOf } from './decode-one.ts'

const fieldOf = (type: unknown) => fieldsOf(parseAvroSchema(recordOf(type)))[0]!

function refusal(schema: unknown): string {
  try {
    fieldsOf(parseAvroSchema(schema))
  } catch (error) {
    if (error instanceof PipelineError) return `${error.code}: ${error.message}`
    throw error
  }
  return 'no error'
}

const inner = (type: unknown) =>
  recordOf({ type: 'array', items: { type: 'record', name: 'I', fields: [{ name: 'x', type }] } })

describe('columns of a schema', () => {
  it.each([
    ['int', { kind: 'int32' }],
    ['long', { kind: 'int64' }],
    ['float', { kind: 'float32' }],
    ['double', { kind: 'float64' }],
    ['boolean', { kind: 'boolean' }],
    ['string', { kind: 'string' }],
    ['bytes', { kind: 'bytes' }],
    [
      { type: 'fixed', name: 'F', size: 3 },
      { kind: 'fixed', size: 3 },
    ],
    [{ type: 'fixed', name: 'F', size: 16, logicalType: 'uuid' }, { kind: 'string' }],
    [{ type: 'string', logicalType: 'uuid' }, { kind: 'string' }],
    [
      { type: 'enum', name: 'E', symbols: ['A', 'B'] },
      { kind: 'enum', symbols: ['A', 'B'] },
    ],
    [{ type: 'int', logicalType: 'date' }, { kind: 'date' }],
    [
      { type: 'int', logicalType: 'time-millis' },
      { kind: 'time', unit: 'millis' },
    ],
    [
      { type: 'long', logicalType: 'time-micros' },
      { kind: 'time', unit: 'micros' },
    ],
    [
      { type: 'long', logicalType: 'timestamp-millis' },
      { kind: 'timestamp', unit: 'millis', local: false },
    ],
    [
      { type: 'long', logicalType: 'local-timestamp-micros' },
      { kind: 'timestamp', unit: 'micros', local: true },
    ],
    [
      { type: 'bytes', logicalType: 'decimal', precision: 38, scale: 9 },
      { kind: 'decimal', precision: 38, scale: 9 },
    ],
  ])('%j', (type, column) => {
    expect(fieldOf(type)).toEqual({ name: 'f', type: column, nullable: false })
  })

  it('are nullable for a union with null, in both orders, and plain for a union of one', () => {
    expect(fieldOf(['null', 'int'])).toEqual({ name: 'f', type: { kind: 'int32' }, nullable: true })
    expect(fieldOf(['int', 'null'])).toEqual({ name: 'f', type: { kind: 'int32' }, nullable: true })
    expect(fieldOf(['int'])).toEqual({ name: 'f', type: { kind: 'int32' }, nullable: false })
  })

  it('are a struct of nullable branches for another union', () => {
    const point = { type: 'record', name: 'geo.Point', fields: [{ name: 'x', type: 'double' }] }
    expect(fieldOf(['null', 'int', point])).toEqual({
      name: 'f',
      nullable: true,
      type: {
        kind: 'struct',
        union: true,
        fields: [
          { name: 'int', type: { kind: 'int32' }, nullable: true },
          {
            name: 'Point',
            type: { kind: 'struct', fields: [{ name: 'x', type: { kind: 'float64' }, nullable: false }] },
            nullable: true,
          },
        ],
      },
    })
  })

  it('hold items and entries, which may be null', () => {
    const element = { name: 'element', type: { kind: 'int32' }, nullable: true }
    expect(fieldOf({ type: 'array', items: ['null', 'int'] }).type).toEqual({ kind: 'list', element })
    const value = { name: 'value', type: { kind: 'string' }, nullable: false }
    expect(fieldOf({ type: 'map', values: 'string' }).type).toEqual({ kind: 'map', value })
  })
})

describe('what no table can hold is refused with its path', () => {
  it.each([
    ['int', 'SCHEMA_UNSUPPORTED: the schema is of type int, and a row is a record'],
    [recordOf(['null', 'R']), 'SCHEMA_UNSUPPORTED: field f contains itself (record R)'],
    [
      recordOf({ type: 'map', values: ['null', { type: 'array', items: 'R' }] }),
      'field f{}[] contains itself',
    ],
    [inner('null'), 'SCHEMA_UNSUPPORTED: field f[].x can only be null'],
    [inner(['null']), 'SCHEMA_UNSUPPORTED: field f[].x can only be null'],
    [
      inner({ type: 'bytes', logicalType: 'decimal', precision: 39 }),
      'field f[].x is a decimal of 39 digits',
    ],
    [inner({ type: 'fixed', name: 'D', size: 12, logicalType: 'duration' }), 'field f[].x is a duration'],
    [inner({ type: 'fixed', name: 'D', size: 0 }), 'field f[].x is a fixed of 0 bytes'],
    [inner({ type: 'record', name: 'E', fields: [] }), 'field f[].x is a record (E) without fields'],
    [recordOf('int', { name: 'F', type: 'int' }), 'SCHEMA_UNSUPPORTED: the schema has both f and F'],
    [
      recordOf(['int', 'string', { type: 'record', name: 'INT', fields: [{ name: 'x', type: 'int' }] }]),
      'field f has both int and INT',
    ],
    [
      recordOf([
        { type: 'fixed', name: 'a.F', size: 1 },
        { type: 'fixed', name: 'b.F', size: 2 },
      ]),
      'field f has both F and F',
    ],
    [
      recordOf('int', { name: 'g', type: 'int', default: 'x' }),
      'SCHEMA_INVALID: the default of field g is "x", and the type is int',
    ],
    [recordOf('int', { name: 'g', type: 'long', default: 2 ** 60 }), 'exact only up to 2^53'],
    [
      recordOf('int', { name: 'g', type: ['null', 'int'], default: 'null' }),
      'no branch of the union can hold it',
    ],
    [
      recordOf(
        { type: 'record', name: 'I', fields: [{ name: 'x', type: 'int' }] },
        { name: 'g', type: 'I', default: {} },
      ),
      'the default of field g is {}, and at x the type is int',
    ],
  ])('%j', (schema, message) => {
    expect(refusal(schema)).toContain(message)
  })

  it('a few nested references cannot multiply without end', () => {
    let schema: unknown = { type: 'record', name: 'L0', fields: [{ name: 'x', type: 'int' }] }
    for (let level = 1; level < 20; level++) {
      const fields = [
        { name: 'a', type: schema },
        { name: 'b', type: `L${level - 1}` },
        { name: 'c', type: `L${level - 1}` },
      ]
      schema = { type: 'record', name: `L${level}`, fields }
    }
    expect(refusal(schema)).toContain('is beyond the limit of 10000 columns')
  })
})
