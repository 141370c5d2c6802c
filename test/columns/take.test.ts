import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createBatch } from '../../src/columns/column.ts'
import { takeRows } from '../../src/columns/take.ts'
import { SchemaMaker } from '../avro/schemas.ts'
import { randomBatch, textsOf } from './schema-columns.ts'

describe('taking rows', () => {
  it('gathers any rows of any schema, in any order, into new columns or used ones', () => {
    fc.assert(
      fc.property(fc.gen(), (g) => {
        const make = new SchemaMaker(g, false)
        const batch = randomBatch(make, 20)
        const texts = textsOf(batch)
        const target = createBatch(batch.columns.map((column) => column.field))
        for (let round = 0; round < 3; round++) {
          const count = batch.length === 0 ? 0 : make.upTo(30)
          // Half of the time a run of neighbours, as most selections are.
          const start = make.upTo(Math.max(0, batch.length - 1))
          const rows = Array.from({ length: count }, (_, index) =>
            make.chance(2) ? make.upTo(batch.length - 1) : (start + index) % batch.length,
          )
          const selection = Int32Array.from([...rows, 99])
          const taken = takeRows(batch, selection, count, round === 0 ? undefined : target)
          expect(taken.length).toBe(count)
          expect(taken.columns.map((column) => column.length)).toEqual(batch.columns.map(() => count))
          expect(textsOf(taken)).toEqual(rows.map((row) => texts[row]))
        }
        expect(textsOf(batch)).toEqual(texts)
      }),
      { numRuns: 200 },
    )
  })

  it('refuses a target of other columns, and the batch itself', () => {
    const batch = createBatch([{ name: 'a', type: { kind: 'int32' }, nullable: false }])
    const other = createBatch([{ name: 'a', type: { kind: 'string' }, nullable: false }])
    const selection = new Int32Array(0)
    expect(() => takeRows(batch, selection, 0, other)).toThrow('column a of the target is not int32')
    expect(() => takeRows(batch, selection, 0, createBatch([]))).toThrow('other columns')
    expect(() => takeRows(batch, selection, 0, batch)).toThrow('into the batch that they come from')
  })
})
