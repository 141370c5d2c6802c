import fc from 'fast-check'
import type { Type } from 'avsc'
import { describe, expect, it } from 'vitest'
import { compileDecoder } from '../../src/avro/decoder.ts'
import type { RecordDecoder } from '../../src/avro/decoder.ts'
import { fieldsOf } from '../../src/avro/fields.ts'
import { parseAvroSchema } from '../../src/avro/schema-model.ts'
import { createBatch } from '../../src/columns/column.ts'
import type { Column } from '../../src/columns/column.ts'
import { valueAt } from '../../src/columns/row.ts'
import { PipelineError } from '../../src/errors.ts'
import { repeated } from './decode-one.ts'
import { expected, referenceType, Stricter, textOf } from './reference.ts'
import type { Schema, SchemaObject } from './schemas.ts'
import { SchemaMaker } from './schemas.ts'

/**
 * Where we refuse what avsc takes. Everything else must be refused by both, and what we take avsc must read as the
 * same value. avsc is not even asked where it would work through a count of 2^40 items.
 */
const STRICTER = [
  /that is not UTF-8$/,
  /that is neither 0 nor 1$/,
  / out of range$/,
  /whose varint does not end$/,
  /digits has more of them$/,
  /digits of no bytes$/,
  /that is not as long as it says$/,
  // avsc passes over what the reader does not want without looking.
  /: the skipped \w+ with an index/,
  // No leniency: avsc takes the missing bytes for zeros, and may go through 2^28 items before it sees the end.
  /(ends where|left where) (an array|a map) block/,
  /more items than the record has bytes for$/,
  /more than 65536 items that take no bytes$/,
]

/** Where the specification fails a record and avsc refuses the pair of schemas: the rest of the union is readable. */
const AT_READ_TIME = [
  /cannot be read as/,
  /is none of the reader's branches/,
  /the reader's enum has none of/,
]

interface Outcome {
  readonly rows: readonly string[]
  readonly failures: ReadonlyMap<number, string>
}

/** All messages from one arena, as the engine does it: on from the record behind the one that failed. */
function decodeAll(
  decoder: RecordDecoder,
  columns: readonly Column[],
  messages: readonly Uint8Array[],
): Outcome {
  const frame = 5
  const starts = new Int32Array(messages.length)
  const ends = new Int32Array(messages.length)
  const bytes: number[] = []
  for (const [index, message] of messages.entries()) {
    starts[index] = bytes.length
    bytes.push(...repeated(0xee, frame), ...message)
    ends[index] = bytes.length
  }
  const arena = Uint8Array.from(bytes)
  const failures = new Map<number, string>()
  for (let from = 0; from < messages.length; ) {
    const stop = decoder.decode(arena, starts, ends, frame, from, messages.length, columns)
    if (stop < messages.length) failures.set(stop, decoder.failure)
    from = stop + 1
  }
  const rows = Array.from({ length: columns[0]!.length }, (_, row) =>
    textOf(Object.fromEntries(columns.map((column) => [column.field.name, valueAt(column, row)]))),
  )
  return { rows, failures }
}

/** What avsc makes of a message, as text; null where it throws or where we are stricter about the value. */
function referenceText(reader: Type, schema: Schema, message: Uint8Array, resolver: object | null) {
  let value: unknown
  try {
    value = reader.fromBuffer(Buffer.from(message), resolver as never)
  } catch {
    return null
  }
  try {
    return textOf(expected(schema, value))
  } catch (error) {
    if (error instanceof Stricter) return null
    throw error
  }
}

function check(
  writerSchema: SchemaObject,
  readerSchema: SchemaObject,
  messages: readonly Uint8Array[],
): void {
  const writer = referenceType(writerSchema)
  const reader = referenceType(readerSchema)
  const resolver = writerSchema === readerSchema ? null : reader.createResolver(writer)
  const readerType = parseAvroSchema(readerSchema)
  const decoder = compileDecoder(parseAvroSchema(writerSchema), readerType)
  const { rows, failures } = decodeAll(decoder, createBatch(fieldsOf(readerType)).columns, messages)
  let row = 0
  const about = (index: number) =>
    `${Buffer.from(messages[index]!).toString('hex')} of ${JSON.stringify(writerSchema)} as ${JSON.stringify(readerSchema)}`
  for (const [index, message] of messages.entries()) {
    const failure = failures.get(index)
    if (failure === undefined) {
      expect(rows[row++], about(index)).toBe(referenceText(reader, readerSchema, message, resolver))
    } else if (!STRICTER.some((pattern) => pattern.test(failure))) {
      const text = referenceText(reader, readerSchema, message, resolver)
      expect(text, `we say: ${failure}: ${about(index)}`).toBeNull()
    }
  }
  expect(row).toBe(rows.length)
}

describe('a generated decoder and avsc', () => {
  it('read the same values of the schema that wrote them', () => {
    fc.assert(
      fc.property(fc.gen(), (g) => {
        const make = new SchemaMaker(g, false)
        const schema = make.record(2)
        const type = referenceType(schema)
        const messages = Array.from({ length: 4 }, () => type.toBuffer(make.value(schema)))
        check(schema, schema, messages)
      }),
      { numRuns: 400 },
    )
  })

  it('read the same values of a schema so wide that its code is cut into functions', () => {
    fc.assert(
      fc.property(fc.gen(), (g) => {
        const make = new SchemaMaker(g, false)
        const fields = Array.from({ length: 150 }, (_, index) => ({ name: `f${index}`, type: make.type(1) }))
        const items = {
          type: 'record',
          name: 'Items',
          fields: fields.map((field, index) => ({ name: field.name, type: make.type(index % 2) })),
        }
        const list = { type: 'array', items }
        const schema = { type: 'record', name: 'Wide', fields: [...fields, { name: 'list', type: list }] }
        const type = referenceType(schema)
        const messages = Array.from({ length: 3 }, () => type.toBuffer(make.value(schema)))
        check(schema, schema, [...messages, make.spoil(messages[0]!), messages[1]!])
      }),
      { numRuns: 8 },
    )
  })

  it('refuse the same spoiled messages, and read the same from the others', () => {
    fc.assert(
      fc.property(fc.gen(), (g) => {
        const make = new SchemaMaker(g, false)
        const schema = make.record(2)
        const type = referenceType(schema)
        const messages = Array.from({ length: 8 }, (_, index) => {
          const message = type.toBuffer(make.value(schema))
          return index % 4 === 0 ? message : make.spoil(message)
        })
        check(schema, schema, messages)
      }),
      { numRuns: 400 },
    )
  })

  it('resolve the same pairs of schemas to the same values', () => {
    let resolved = 0
    let refused = 0
    fc.assert(
      fc.property(fc.gen(), (g) => {
        const make = new SchemaMaker(g, true)
        const writer = make.record(2)
        const reader = make.evolveRecord(writer, 2)
        const type = referenceType(writer)
        const messages = Array.from({ length: 4 }, (_, index) => {
          const message = type.toBuffer(make.value(writer))
          return index === 3 ? make.spoil(message) : message
        })
        let isResolvable = true
        try {
          referenceType(reader).createResolver(type)
        } catch {
          isResolvable = false
        }
        if (isResolvable) {
          resolved++
          check(writer, reader, messages)
          return
        }
        refused++
        const readerType = parseAvroSchema(reader)
        let decoder: RecordDecoder
        try {
          decoder = compileDecoder(parseAvroSchema(writer), readerType)
        } catch (error) {
          expect((error as PipelineError).code).toBe('SCHEMA_INCOMPATIBLE')
          return
        }
        // Then it is a branch or a symbol that the reader does not have, and fails the records with it.
        const { rows, failures } = decodeAll(decoder, createBatch(fieldsOf(readerType)).columns, messages)
        expect(rows.length + failures.size).toBe(messages.length)
        for (const [index, failure] of failures) {
          if (index < 3)
            expect(
              [...AT_READ_TIME, ...STRICTER].some((pattern) => pattern.test(failure)),
              failure,
            ).toBe(true)
        }
      }),
      { numRuns: 500 },
    )
    expect(resolved).toBeGreaterThan(150)
    expect(refused).toBeGreaterThan(30)
  })
})
