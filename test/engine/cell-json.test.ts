import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createBatch } from '../../src/columns/column.ts'
import { cellFromJson, cellToJson } from '../../src/engine/cell-json.ts'
import { SchemaMaker } from '../avro/schemas.ts'
import { randomBatch, textsOf } from '../columns/schema-columns.ts'

describe('a cell as JSON', () => {
  it('comes back as it was, of any type', () => {
    fc.assert(
      fc.property(fc.gen(), (g) => {
        const batch = randomBatch(new SchemaMaker(g, false), 5)
        const copy = createBatch(batch.columns.map((column) => column.field))
        for (let row = 0; row < batch.length; row++) {
          batch.columns.forEach((column, c) => {
            const json: unknown = JSON.parse(JSON.stringify(cellToJson(column, row)))
            cellFromJson(json, copy.columns[c]!)
          })
          copy.length++
        }
        expect(textsOf(copy)).toEqual(textsOf(batch))
      }),
      { numRuns: 300 },
    )
  })
})
