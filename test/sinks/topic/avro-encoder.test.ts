import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compileAppender } from '../../../src/columns/append.ts'
import { createBatch } from '../../../src/columns/column.ts'
import type { ColumnType, Field } from '../../../src/columns/column-type.ts'
import { valueAt } from '../../../src/columns/row.ts'
import { fieldsOf } from '../../../src/avro/fields.ts'
import { parseAvroSchema } from '../../../src/avro/schema-model.ts'
import { avroSchemaText, keySchemaText, recordNameOf } from '../../../sinks/topic/avro-schema.ts'
import { registerEncoder, topicEncoder } from '../../../sinks/topic/topic-encoder.ts'
import { expected, referenceType, textOf } from '../../avro/reference.ts'
import type { Schema } from '../../avro/schemas.ts'

const int = fc.oneof(fc.integer(), fc.constantFrom(0, -1, 63, 64, -64, -65, 2 ** 31 - 1, -(2 ** 31)))
const long = fc.oneof(fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n), fc.constantFrom(0n, -1n, 2n ** 53n))
const digits = (precision: number) => 10n ** BigInt(precision) - 1n
const decimal = (precision: number, scale: number) => ({
  type: { kind: 'decimal', precision, scale } as ColumnType,
  value: fc
    .oneof(
      fc.bigInt(-digits(precision), digits(precision)),
      fc.constantFrom(0n, -1n, 127n, 128n, -128n, -129n),
    )
    .map((unscaled) => ({ unscaled, scale })),
})

/** What keys and aggregates can be. */
const SCALARS: readonly { readonly type: ColumnType; readonly value: fc.Arbitrary<unknown> }[] = [
  { type: { kind: 'boolean' }, value: fc.boolean() },
  { type: { kind: 'int32' }, value: int },
  { type: { kind: 'int64' }, value: long },
  { type: { kind: 'float32' }, value: fc.float() },
  { type: { kind: 'float64' }, value: fc.double() },
  { type: { kind: 'string' }, value: fc.string({ unit: 'grapheme', maxLength: 300 }) },
  { type: { kind: 'bytes' }, value: fc.uint8Array({ maxLength: 300 }) },
  { type: { kind: 'fixed', size: 3 }, value: fc.uint8Array({ minLength: 3, maxLength: 3 }) },
  {
    type: { kind: 'enum', symbols: ['RED', 'GREEN', 'BLUE'] },
    value: fc.constantFrom('RED', 'GREEN', 'BLUE'),
  },
  { type: { kind: 'date' }, value: int },
  { type: { kind: 'time', unit: 'millis' }, value: fc.nat(86_399_999) },
  { type: { kind: 'time', unit: 'micros' }, value: fc.bigInt(0n, 86_399_999_999n) },
  { type: { kind: 'timestamp', unit: 'millis', local: false }, value: fc.maxSafeInteger() },
  { type: { kind: 'timestamp', unit: 'micros', local: false }, value: long },
  { type: { kind: 'timestamp', unit: 'millis', local: true }, value: fc.nat() },
  { type: { kind: 'timestamp', unit: 'micros', local: true }, value: long },
  decimal(5, 2),
  decimal(38, 10),
]

interface Chosen {
  readonly type: ColumnType
  readonly nullable: boolean
  readonly value: unknown
}

/** What collections, top-k and custom aggregates can be. */
const LARGE = fc.constantFrom(...SCALARS).chain((item) =>
  fc.boolean().chain((nullable) => {
    const value = nullable ? fc.option(item.value) : item.value
    const field = (name: string): Field => ({ name, type: item.type, nullable })
    return fc.oneof(
      fc.record({
        type: fc.constant<ColumnType>({ kind: 'list', element: field('element') }),
        value: fc.array(value),
      }),
      fc.record({
        type: fc.constant<ColumnType>({ kind: 'map', value: field('value') }),
        value: fc.dictionary(fc.stringMatching(/^[a-z]{0,5}$/), value, { maxKeys: 3 }),
      }),
      fc.record({
        type: fc.constant<ColumnType>({ kind: 'struct', fields: [field('first'), field('second')] }),
        value: fc.record({ first: value, second: value }),
      }),
    )
  }),
)

const oneField: fc.Arbitrary<Chosen> = fc
  .oneof(
    { weight: 3, arbitrary: fc.constantFrom(...SCALARS).map(({ type, value }) => ({ type, value })) },
    { weight: 1, arbitrary: LARGE.map(({ type, value }) => ({ type, value: fc.constant(value) })) },
  )
  .chain(({ type, value }) =>
    fc.boolean().chain((nullable) =>
      fc.record({
        type: fc.constant(type),
        nullable: fc.constant(nullable),
        value: nullable ? fc.option(value as fc.Arbitrary<unknown>) : (value as fc.Arbitrary<unknown>),
      }),
    ),
  )

describe('a row of a topic', () => {
  test('is what avsc reads from it by the schema that is registered', () => {
    fc.assert(
      fc.property(fc.array(oneField, { minLength: 1, maxLength: 8 }), fc.nat(2 ** 31 - 1), (chosen, id) => {
        const fields = chosen.map(({ type, nullable }, i): Field => ({ name: `f${i}`, type, nullable }))
        const batch = createBatch(fields)
        const row = Object.fromEntries(chosen.map(({ value }, i) => [`f${i}`, value]))
        const refused = compileAppender(fields)(row, batch.columns)
        fc.pre(refused === null)
        batch.length = 1
        const encoder = topicEncoder({ topic: 'all-of-it', keyFields: fields.slice(0, 1), fields }, 7, id)
        const { key, value } = encoder.encode(batch, 0)
        const frame = Buffer.from(value)
        expect([frame[0], frame.readInt32BE(1)]).toEqual([0, id])
        expect(Buffer.from(key!).readInt32BE(1)).toBe(7)
        const schema = JSON.parse(avroSchemaText('AllOfIt', fields)) as Schema
        const read = expected(schema, referenceType(schema).fromBuffer(frame.subarray(5)))
        const ours = Object.fromEntries(
          batch.columns.map((column) => [column.field.name, valueAt(column, 0)]),
        )
        expect(textOf(read)).toBe(textOf(ours))
      }),
      { numRuns: 500 },
    )
  })

  test('has the key fields, of whichever columns they are, in its key', () => {
    const fields: Field[] = [
      { name: 'zone', type: { kind: 'int32' }, nullable: false },
      { name: 'rows', type: { kind: 'int64' }, nullable: false },
    ]
    const batch = createBatch(fields)
    compileAppender(fields)({ zone: 3, rows: 5n }, batch.columns)
    const { key, value } = topicEncoder({ topic: 't', keyFields: fields.slice(0, 1), fields }, 1, 2).encode(
      batch,
      0,
    )
    expect([...key!]).toEqual([0, 0, 0, 0, 1, 6])
    expect([...value]).toEqual([0, 0, 0, 0, 2, 6, 10])
  })
})

describe('the key of what is no more', () => {
  test('is that of the result that was there, though its columns can be null', () => {
    const fields: Field[] = [
      { name: 'zone', type: { kind: 'string' }, nullable: false },
      { name: 'window_start', type: { kind: 'timestamp', unit: 'millis', local: false }, nullable: true },
      { name: 'rows', type: { kind: 'int64' }, nullable: false },
    ]
    const nullable = fields.map((field) => ({ ...field, nullable: true }))
    const encoder = topicEncoder({ topic: 't', keyFields: fields.slice(0, 2), fields }, 1, 2)
    for (const start of [null, 1_700_000_000_000]) {
      const there = createBatch(fields)
      compileAppender(fields)({ zone: 'a', window_start: start, rows: 5n }, there.columns)
      const gone = createBatch(nullable)
      compileAppender(nullable)({ zone: 'a', window_start: start, rows: null }, gone.columns)
      expect(encoder.encodeKey(gone, 0)).toEqual(encoder.encode(there, 0).key)
    }
  })
})

describe('the schema of a topic', () => {
  test('of a key has defaults for the window, so that it follows one that had none', () => {
    const instant: ColumnType = { kind: 'timestamp', unit: 'millis', local: false }
    const fields: Field[] = [
      { name: 'zone', type: { kind: 'int32' }, nullable: false },
      { name: 'window_start', type: instant, nullable: false },
      { name: 'window_end', type: instant, nullable: true },
    ]
    const { fields: written } = JSON.parse(keySchemaText('Key', fields)) as {
      fields: { default?: unknown }[]
    }
    expect(written.map((field) => ('default' in field ? field.default : 'none'))).toEqual(['none', 0, null])
    const before = referenceType(JSON.parse(avroSchemaText('Key', fields.slice(0, 1))) as Schema)
    const after = referenceType(JSON.parse(keySchemaText('Key', fields)) as Schema)
    // Neither side needs more than the other has.
    expect(() => after.createResolver(before)).not.toThrow()
    expect(() => before.createResolver(after)).not.toThrow()
  })

  test('gives back the fields it was made from, with their logical types', () => {
    fc.assert(
      fc.property(fc.array(oneField, { minLength: 1, maxLength: 8 }), (chosen) => {
        const fields = chosen.map(({ type, nullable }, i): Field => ({ name: `f${i}`, type, nullable }))
        expect(fieldsOf(parseAvroSchema(JSON.parse(avroSchemaText('R', fields))))).toEqual(fields)
      }),
    )
  })

  test.each([
    ['zone-minutes', 'ZoneMinutes'],
    ['a.b_c', 'ABC'],
    ['2024-trips', 'Topic2024Trips'],
    ['-', 'Topic'],
    ['Zone', 'Zone'],
  ])('of %s is called %s', (topic, name) => {
    expect(recordNameOf(topic)).toBe(name)
  })
})

describe('schemas of a topic', () => {
  const fields: Field[] = [
    { name: 'zone', type: { kind: 'int32' }, nullable: false },
    { name: 'rows', type: { kind: 'int64' }, nullable: false },
  ]
  const shape = { topic: 'zone-minutes', keyFields: fields.slice(0, 1), fields }
  const reading = { description: 'a registry', schemaById: async () => null }

  test('are registered under the names that Confluent’s tools expect, and their ids are in the records', async () => {
    const registered: [string, string][] = []
    const registry = {
      ...reading,
      register: async (subject: string, schema: string) => registered.push([subject, schema]) + 40,
    }
    const encoder = await registerEncoder(shape, registry)
    expect(
      registered.map(([subject, schema]) => [subject, (JSON.parse(schema) as { name: string }).name]),
    ).toEqual([
      ['zone-minutes-key', 'ZoneMinutesKey'],
      ['zone-minutes-value', 'ZoneMinutes'],
    ])
    const batch = createBatch(fields)
    compileAppender(fields)({ zone: 1, rows: 2n }, batch.columns)
    const { key, value } = encoder.encode(batch, 0)
    expect([key![4], value[4]]).toEqual([41, 42])
  })

  test('need a registry that takes them', async () => {
    await expect(registerEncoder(shape, reading)).rejects.toThrow('cannot be registered at a registry')
  })
})
