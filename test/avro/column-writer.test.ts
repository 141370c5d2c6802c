import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ColumnWriter } from '../../src/avro/column-writer.ts'
import { compileDecoder } from '../../src/avro/decoder.ts'
import { fieldsOf } from '../../src/avro/fields.ts'
import { type AvroType, parseAvroSchema } from '../../src/avro/schema-model.ts'
import { type ColumnBatch, createBatch } from '../../src/columns/column.ts'
import { valueAt } from '../../src/columns/row.ts'
import { expected, referenceType, Stricter, textOf } from './reference.ts'
import { SchemaMaker } from './schemas.ts'

/** Null where the decoder refuses one: a decimal with more digits than its schema allows, which avsc writes all the same. */
function decode(type: AvroType, messages: readonly Uint8Array[]): ColumnBatch | null {
  const batch = createBatch(fieldsOf(type))
  const decoder = compileDecoder(type, type)
  const ends: number[] = []
  for (const { length } of messages) ends.push((ends.at(-1) ?? 0) + length)
  const starts = Int32Array.from([0, ...ends])
  const arena = Uint8Array.from(messages.flatMap((message) => [...message]))
  const stop = decoder.decode(arena, starts, Int32Array.from(ends), 0, 0, messages.length, batch.columns)
  if (stop < messages.length) return null
  batch.length = messages.length
  return batch
}

const rowsOf = ({ length, columns }: ColumnBatch): readonly string[] =>
  Array.from({ length }, (_, row) =>
    textOf(Object.fromEntries(columns.map((column) => [column.field.name, valueAt(column, row)]))),
  )

describe('a column writer', () => {
  it('writes what the decoder has read, for the decoder and for avsc', () => {
    let compared = 0
    fc.assert(
      fc.property(fc.gen(), (g) => {
        const make = new SchemaMaker(g, false)
        const schema = make.record(2)
        const reference = referenceType(schema)
        const messages = Array.from(
          { length: 3 },
          () => new Uint8Array(reference.toBuffer(make.value(schema))),
        )
        const type = parseAvroSchema(schema)
        const batch = decode(type, messages)
        if (batch === null) return
        compared++
        const writer = new ColumnWriter(type)
        const written = messages.map((_, row) => {
          const start = writer.length
          writer.row(batch, row)
          return writer.bytes.slice(start, writer.length)
        })
        expect(rowsOf(decode(type, written)!)).toEqual(rowsOf(batch))
        for (const [row, message] of written.entries()) {
          try {
            expect(textOf(expected(schema, reference.fromBuffer(Buffer.from(message))))).toBe(
              rowsOf(batch)[row],
            )
          } catch (error) {
            if (!(error instanceof Stricter)) throw error
          }
        }
      }),
      { numRuns: 400 },
    )
    expect(compared).toBeGreaterThan(200)
  })
})
