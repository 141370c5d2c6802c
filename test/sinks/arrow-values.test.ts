import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { copyBits, countZeros } from '../../sinks/parquet/arrow-bits.ts'
import { copyRanges, fillWordsAsMicros } from '../../sinks/parquet/arrow-values.ts'
import { allRows } from '../../sinks/parquet/row-choice.ts'
import type { RowChoice } from '../../sinks/parquet/row-choice.ts'
import { createColumn } from '../../src/columns/column.ts'
import type { Int64Column } from '../../src/columns/column.ts'
import { field, MILLIS } from './table-kit.ts'

function timestamps(values: readonly bigint[]): Int64Column {
  const column = createColumn(field('at', MILLIS)) as Int64Column
  column.reserve(values.length)
  column.length = values.length
  new BigInt64Array(column.words.buffer, 0, values.length).set(values)
  return column
}

/** Rows of a column of `length`, as a stretch or as a list. */
const choices = (length: number) =>
  fc.oneof(
    fc
      .tuple(fc.nat(length), fc.nat(length))
      .map(([a, b]): RowChoice => ({ kind: 'range', start: Math.min(a, b), count: Math.abs(a - b) })),
    fc.subarray(Array.from({ length }, (_, row) => row)).map((rows): RowChoice => {
      return { kind: 'list', indices: Int32Array.of(-1, ...rows), start: 1, count: rows.length }
    }),
  )

function rowsOf(choice: RowChoice): readonly number[] {
  if (choice.kind === 'list') return [...choice.indices.subarray(choice.start, choice.start + choice.count)]
  return Array.from({ length: choice.count }, (_, row) => choice.start + row)
}

describe('values on their way to Arrow', () => {
  test('milliseconds become microseconds exactly, or are refused', () => {
    const edge = 9_223_372_036_854_775n
    const millis = fc.oneof(
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
      fc.bigInt({ min: -edge - 3n, max: -edge + 3n }),
      fc.bigInt({ min: edge - 3n, max: edge + 3n }),
      fc.bigInt({ min: -(2n ** 33n), max: 2n ** 33n }),
      fc.bigInt({ min: -(2n ** 43n), max: 2n ** 43n }),
    )
    fc.assert(
      fc.property(millis, (value) => {
        const micros = new Int32Array(2)
        const fill = () => fillWordsAsMicros(timestamps([value]), allRows(1), [], micros)
        if (BigInt.asIntN(64, value * 1000n) === value * 1000n) {
          fill()
          expect(new BigInt64Array(micros.buffer)[0]).toBe(value * 1000n)
        } else expect(fill).toThrow(expect.objectContaining({ code: 'TIMESTAMP_OUT_OF_RANGE' }))
      }),
      { numRuns: 2_000 },
    )
  })

  test('bits are gathered from any place, and those above the last row are 0', () => {
    const input = fc
      .uint8Array({ minLength: 1, maxLength: 20 })
      .chain((bits) => fc.tuple(fc.constant(bits), choices(bits.length * 8)))
    fc.assert(
      fc.property(input, ([bits, choice]) => {
        const rows = rowsOf(choice)
        const to = new Uint8Array((rows.length + 7) >> 3).fill(0xff)
        copyBits(bits, choice, to)
        const expected = new Uint8Array(to.length)
        for (const [index, row] of rows.entries())
          expected[index >> 3]! |= ((bits[row >> 3]! >> (row & 7)) & 1) << (index & 7)
        expect(to).toEqual(expected)
        const zeros = rows.filter((row) => ((bits[row >> 3]! >> (row & 7)) & 1) === 0).length
        expect(countZeros(to, rows.length)).toBe(zeros)
      }),
      { numRuns: 1_000 },
    )
  })

  test('values of any length are gathered one after the other', () => {
    const input = fc
      .array(fc.oneof(fc.uint8Array({ maxLength: 12 }), fc.uint8Array({ minLength: 200, maxLength: 400 })), {
        minLength: 1,
        maxLength: 20,
      })
      .chain((values) => fc.tuple(fc.constant(values), choices(values.length)))
    fc.assert(
      fc.property(input, ([values, choice]) => {
        const offsets = new Int32Array(values.length + 1)
        for (const [row, value] of values.entries()) offsets[row + 1] = offsets[row]! + value.length
        const expected = Buffer.concat(rowsOf(choice).map((row) => values[row]!))
        const to = new Uint8Array(expected.length)
        copyRanges(Buffer.concat(values), offsets, choice, to)
        expect(Buffer.compare(to, expected)).toBe(0)
      }),
      { numRuns: 1_000 },
    )
  })
})
