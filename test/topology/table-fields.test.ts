import {
  bronze,
  gold,
  minutes,
  pipeline,
  silver,
  stream,
  tumbling,
  boundedOutOfOrderness,
  seconds,
} from 'millrace'
import { expect, test } from 'vitest'
import { compilePlan, tableShapesOf } from '../../src/engine/plan.ts'
import { tableFields } from '../../src/topology/table-fields.ts'
import { EveryType } from '../codegen/golden/every-type.ts'
import { rides } from './rides.ts'

test('so they are for every kind of window and aggregate', () => {
  const spec = rides()
  const shapes = tableShapesOf(compilePlan(spec, ['topic']))
  const written = Object.fromEntries(shapes.map(({ path, fields }) => [path, fields]))
  for (const table of spec.tables) {
    expect(tableFields(table)).toEqual(written[`${table.layer}/${table.name}`])
  }
})

// The description and the checks of a program speak of columns before there is an engine: they must be the same.
test('the columns that a program is told about are those that the engine writes', () => {
  const every = stream('every', EveryType, {
    eventTime: 'aTimestampMillis',
    watermark: boundedOutOfOrderness(seconds(0)),
  })
  const results = every
    .keyBy('anEnum', 'aRecord.country.code', 'nullableLong')
    .window(tumbling(minutes(1)), { allowedLateness: minutes(0), late: 'side-table' })
    .aggregate('results', ({ count, sum, min, max, avg }) => ({
      rows: count(),
      longs: sum('nullableLong'),
      ints: sum('anInt'),
      floats: sum('aFloat'),
      money: sum('aDecimal'),
      mean: avg('aDecimal'),
      first: min('aTimestampMicros'),
      last: max('aDate'),
      name: max('aRecord.street'),
      bytes: min('someBytes'),
    }))
  const spec = pipeline({
    name: 'every',
    tables: [
      bronze('rows', every),
      silver('rows', every),
      gold('results', results),
      silver('late', results.late),
    ],
  })
  const shapes = new Map(
    tableShapesOf(compilePlan(spec, ['topic'])).map(({ path, fields }) => [path, fields]),
  )
  for (const table of spec.tables) {
    // The engine knows the topics, and so writes their names as an enum.
    const written = shapes
      .get(`${table.layer}/${table.name}`)!
      .map((field) => (field.name === '_topic' ? { ...field, type: { kind: 'string' } } : field))
    expect(tableFields(table)).toEqual(written)
  }
})
