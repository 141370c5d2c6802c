import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { avroCodec } from '../../../consumers/recording/avsc.ts'
import { MisfitError, parseJsonLine, toAvro, toJson } from '../../../consumers/recording/json-value.ts'
import { shapeOf } from '../../../consumers/recording/value-shape.ts'

const latin1 = (length: number) =>
  fc
    .uint8Array({ minLength: length, maxLength: length })
    .map((bytes) => Buffer.from(bytes).toString('latin1'))

describe('JSON and Avro values', () => {
  const schema = {
    type: 'record',
    name: 'All',
    namespace: 'n',
    fields: [
      { name: 'null', type: 'null' },
      { name: 'boolean', type: 'boolean' },
      { name: 'int', type: 'int' },
      { name: 'long', type: 'long' },
      { name: 'float', type: 'float' },
      { name: 'double', type: 'double' },
      { name: 'string', type: 'string' },
      { name: 'bytes', type: 'bytes' },
      { name: 'fixed', type: { type: 'fixed', name: 'F', size: 3 } },
      {
        name: 'decimal',
        type: { type: 'fixed', name: 'D', size: 8, logicalType: 'decimal', precision: 18, scale: 4 },
      },
      { name: 'date', type: { type: 'int', logicalType: 'date' } },
      { name: 'millis', type: { type: 'long', logicalType: 'timestamp-millis' } },
      { name: 'micros', type: { type: 'long', logicalType: 'timestamp-micros' } },
      { name: 'local', type: { type: 'long', logicalType: 'local-timestamp-micros' } },
      { name: 'list', type: { type: 'array', items: ['null', 'int'] } },
      { name: 'map', type: { type: 'map', values: 'F' } },
      { name: 'union', type: ['null', 'int', 'string', { type: 'array', items: 'string' }, 'D'] },
      {
        name: 'tree',
        type: ['null', { type: 'record', name: 'T', fields: [{ name: 'child', type: ['null', 'T'] }] }],
      },
    ],
  }
  const json = JSON.stringify(schema)
  const codec = avroCodec(json, 'All')
  const shape = shapeOf(json, 'All')

  const decimal = fc
    .bigInt({ min: -(10n ** 17n), max: 10n ** 17n })
    .map((unscaled) => toJson({ kind: 'bytes', decimal: { scale: 4 } }, bigEndian(unscaled)))
  const values = fc.record({
    null: fc.constant(null),
    boolean: fc.boolean(),
    int: fc.integer(),
    long: fc.oneof(fc.maxSafeInteger(), fc.constantFrom('9223372036854775807', '-9223372036854775808')),
    float: fc.float({ noNaN: true, noDefaultInfinity: true }),
    double: fc.oneof(
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.constantFrom('NaN', 'Infinity', '-Infinity'),
    ),
    string: fc.string({ unit: 'grapheme' }),
    bytes: latin1(9),
    fixed: latin1(3),
    decimal,
    date: fc.constantFrom('1969-12-31', '2024-02-29', '0001-01-01', '9999-12-31'),
    millis: fc.constantFrom('1969-12-31T23:59:59.999Z', '2024-02-29T00:00:00.000Z', 8.64e15),
    micros: fc.constantFrom('1969-12-31T23:59:59.999999Z', '2024-02-29T00:00:00.000001Z'),
    local: fc.constantFrom('1969-12-31T23:59:59.999999', '2024-02-29T00:00:00.000001'),
    list: fc.array(fc.option(fc.integer())),
    map: fc.dictionary(
      fc.string().filter((key) => key !== '__proto__'),
      latin1(3),
    ),
    union: fc.oneof(
      fc.constant(null),
      fc.record({ int: fc.integer() }),
      fc.record({ string: fc.string() }),
      fc.record({ array: fc.array(fc.string()) }),
      fc.record({ 'n.D': decimal }),
    ),
    tree: fc.constantFrom(null, { child: null }, { child: { child: null } }),
  })

  test('go there and back, over the wire', () => {
    fc.assert(
      fc.property(values, (value) => {
        const encoded = codec.encode(toAvro(shape, value))
        expect(toJson(shape, codec.decode(encoded))).toEqual(value)
      }),
      { numRuns: 200 },
    )
  })

  test('a union takes a value without the name of its branch', () => {
    const union = shapeOf(JSON.stringify(['null', 'int', 'string', { type: 'map', values: 'int' }]), 'U')
    expect(toAvro(union, 1)).toEqual({ int: 1 })
    expect(toAvro(union, 'x')).toEqual({ string: 'x' })
    expect(toAvro(union, { string: 'x' })).toEqual({ string: 'x' })
    // A map with one key that is the name of a branch.
    expect(toAvro(union, { int: 5 })).toEqual({ int: 5 })
    expect(toAvro(union, { string: 5 })).toEqual({ map: { string: 5 } })
    expect(() => toAvro(union, true)).toThrow(MisfitError)
  })

  test.each([
    ['int', 2 ** 31],
    ['long', '9223372036854775808'],
    ['bytes', 'Ā'],
    ['fixed', 'ab'],
    ['decimal', 1e21],
    ['date', '2024-13-01'],
    ['millis', '2024-01-01T00:00:00'],
    ['local', '2024-01-01T00:00:00Z'],
    ['micros', 'yesterday'],
    ['list', [1, 'x']],
    ['map', { a: 1 }],
    ['boolean', 'true'],
  ])('%s does not take %j', (name, value) => {
    const field = shape.kind === 'record' ? shape.fields.find((field) => field.name === name) : undefined
    expect(() => toAvro(field!.shape, value, name)).toThrow(MisfitError)
  })

  test('integers beyond 2^53 keep their digits', () => {
    expect(
      parseJsonLine('{"a": 9223372036854775807, "b": "9223372036854775807", "c": 1e20, "d": 1}'),
    ).toEqual({
      a: 9223372036854775807n,
      b: '9223372036854775807',
      c: 1e20,
      d: 1,
    })
  })
})

function bigEndian(value: bigint): Uint8Array {
  const bytes = Buffer.alloc(8)
  bytes.writeBigInt64BE(value)
  return bytes
}
