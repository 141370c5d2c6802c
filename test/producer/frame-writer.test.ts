import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { FrameWriter } from '../../src/producer/frame-writer.ts'
import { decimal } from '../../src/columns/decimal.ts'
import { decodeOne } from '../avro/decode-one.ts'
import { referenceType } from '../avro/reference.ts'
import { SchemaMaker } from '../avro/schemas.ts'
import { EveryType } from '../codegen/golden/every-type.ts'

const ID = 7

function encode(schema: unknown, value: unknown): number[] {
  const frame = new FrameWriter(schema, 'trips').frame(ID, value, null)
  expect([...frame.subarray(0, 5)]).toEqual([0, 0, 0, 0, ID])
  return [...frame.subarray(5)]
}

describe('a value', () => {
  it('is written so that what reads it gets it back, and avsc takes it: random schemas', () => {
    fc.assert(
      fc.property(fc.gen(), (g) => {
        const maker = new SchemaMaker(g, true)
        const schema = maker.record(2)
        const type = referenceType(schema)
        const decoded = decodeOne(schema, schema, [...type.toBuffer(maker.value(schema))])
        // A decimal with a digit too many, or a time that no table holds.
        fc.pre(typeof decoded === 'object')
        const bytes = encode(schema, decoded)
        expect(decodeOne(schema, schema, bytes)).toEqual(decoded)
        expect(() => type.fromBuffer(Buffer.from(bytes)) as unknown).not.toThrow()
      }),
      { numRuns: 300 },
    )
  })

  it('of every type is written', () => {
    const value = {
      aBoolean: true,
      anInt: -5,
      aLong: 2n ** 63n - 1n,
      aFloat: 1.5,
      aDouble: Number.NaN,
      aString: 'größer',
      someBytes: Uint8Array.of(1, 255),
      aFixed: new Uint8Array(8),
      anEnum: 'green' as const,
      theEnumAgain: 'red' as const,
      aWideEnum: 'delivered_to_the_neighbour' as const,
      aDate: 20_000,
      aTimeMillis: 86_399_999,
      aTimeMicros: 86_399_999_999n,
      aTimestampMillis: 1_716_000_000_123,
      aTimestampMicros: 1_716_000_000_123_456n,
      aLocalMillis: -1,
      aLocalMicros: -1n,
      aDecimal: decimal.fromString('-12.50'),
      aFixedDecimal: decimal.fromString('3', 2),
      aUuid: '123e4567-e89b-12d3-a456-426614174000',
      aFixedUuid: '123e4567-e89b-12d3-a456-426614174000',
      anUnknownLogical: 5n,
      anArray: ['a', null],
      aMap: { k: [1n, 2n], empty: [] },
      aRecord: { street: 'x', country: { code: 'CH' } },
      otherNamespace: { vatId: 'v' },
      aWordOfTypeScript: { delete: false },
      aGlobalName: { x: 3 },
      nullableRecord: null,
      nullableLong: 0n,
      oneBranch: 'only',
      aUnion: { Address: { street: 'y', country: { code: 'DE' } } },
      numbers: [1, 2],
      described: '',
    }
    expect(decodeOne(EveryType.avro, EveryType.avro, encode(EveryType.avro, value))).toEqual(value)
  })

  it('of a schema that contains itself is written', () => {
    const list = {
      type: 'record',
      name: 'List',
      fields: [
        { name: 'value', type: 'int' },
        { name: 'next', type: ['null', 'List'], default: null },
      ],
    }
    expect(encode(list, { value: 1, next: { value: 2 } })).toEqual([2, 2, 4, 0])
  })

  it('gets digits, and never loses them, where its decimal has another scale', () => {
    const price = { type: 'bytes', logicalType: 'decimal', precision: 6, scale: 2 }
    expect(encode(price, decimal.fromString('12.5'))).toEqual(encode(price, decimal.fromString('12.500')))
  })
})

describe('a value that does not fit', () => {
  const trip = (type: unknown, ...more: readonly object[]) => ({
    type: 'record',
    name: 'Trip',
    fields: [{ name: 'f', type }, ...more],
  })
  const cases: readonly (readonly [string, unknown, unknown, string])[] = [
    ['a missing field', trip('string'), {}, 'f must be a string, but is missing'],
    ['a misspelt field', trip('string'), { f: 'a', g: 1 }, 'g is not in the schema, which has f'],
    ['null', trip('string'), { f: null }, 'f must be a string, but is null'],
    ['a fraction', trip('int'), { f: 1.5 }, 'f must be an int: a whole number from'],
    ['an int of 33 bits', trip('int'), { f: 2 ** 31 }, 'but is 2147483648'],
    [
      'a number for a long',
      trip('long'),
      { f: 5 },
      'f must be a long: a bigint of at most 64 bits, but is 5',
    ],
    ['a long of 65 bits', trip('long'), { f: 2n ** 63n }, 'but is 9223372036854775808n'],
    [
      'a Date',
      trip({ type: 'long', logicalType: 'timestamp-millis' }),
      { f: new Date(0) },
      'f must be a time: a whole number of milliseconds since 1970, but is a Date (use its getTime())',
    ],
    [
      'another symbol',
      trip({ type: 'enum', name: 'E', symbols: ['a', 'b'] }),
      { f: 'c' },
      'f must be one of a, b, but is "c"',
    ],
    [
      'a fixed of another size',
      trip({ type: 'fixed', name: 'F', size: 2 }),
      { f: new Uint8Array(3) },
      'f must have 2 bytes',
    ],
    [
      'a decimal with more digits behind the point',
      trip({ type: 'bytes', logicalType: 'decimal', precision: 6, scale: 2 }),
      { f: decimal.fromString('1.234') },
      'f must have at most 2 digits behind the point',
    ],
    [
      'a decimal with too many digits',
      trip({ type: 'bytes', logicalType: 'decimal', precision: 3, scale: 0 }),
      { f: decimal.fromString('1000') },
      'f must have at most 3 digits',
    ],
    ['half of a surrogate pair', trip('string'), { f: '\ud800' }, 'half of a surrogate pair'],
    ['an item', trip({ type: 'array', items: 'int' }), { f: [1, 'x'] }, 'f[1] must be an int'],
    ['an entry', trip({ type: 'map', values: 'int' }), { f: { 'a b': 'x' } }, 'f["a b"] must be an int'],
    [
      'a field of a record in an array',
      trip({ type: 'array', items: { ...trip('string'), name: 'Leg' } }),
      { f: [{ f: 'a' }, { f: 2 }] },
      'f[1].f must be a string, but is 2',
    ],
    [
      'a union without its branch',
      trip(['null', 'string', 'long']),
      { f: 'x' },
      'f must be { string: … } or { long: … } or null',
    ],
    ['a branch', trip(['null', 'string', 'long']), { f: { long: 'x' } }, 'f.long must be a long'],
    ['something else than an object', trip('string'), 5, 'the value must be an object, but is 5'],
  ]

  it.each(cases)('%s is refused with its place', (_, schema, value, message) => {
    const writer = new FrameWriter(schema, 'trips')
    expect(() => writer.frame(ID, value, null)).toThrow(
      expect.objectContaining({
        code: 'PRODUCE_INVALID',
        message: expect.stringContaining(message) as string,
      }) as Error,
    )
  })

  it('is named by its number among several, and does no harm to the next', () => {
    const writer = new FrameWriter(trip('string'), 'trips')
    const good = writer.frame(ID, { f: 'abc' }, 0)
    expect(() => writer.frame(ID, { f: 1 }, 1)).toThrow('trips: value 1: f must be a string')
    expect(writer.frame(ID, { f: 'abc' }, 2)).toEqual(good)
  })

  it('is refused where it contains itself without an end', () => {
    const list = {
      type: 'record',
      name: 'List',
      fields: [{ name: 'next', type: ['null', 'List'], default: null }],
    }
    const value: { next?: unknown } = {}
    value.next = value
    expect(() => new FrameWriter(list, 'lists').frame(ID, value, null)).toThrow('is nested too deeply')
  })
})
