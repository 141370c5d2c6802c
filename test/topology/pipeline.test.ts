import {
  bronze,
  gold,
  minutes,
  pipeline,
  type PipelineOptions,
  silver,
  type TableNode,
  tumbling,
} from 'millrace'
import { describe, expect, test } from 'vitest'
import { isPipeline } from '../../src/topology/pipeline.ts'
import { validatePipeline } from '../../src/topology/validate.ts'
import { taxi, tripStream } from './trips.ts'

const trips = tripStream()

function counts<Late extends 'dead-letter' | 'side-table'>(late: Late) {
  return trips
    .keyBy('zone')
    .window(tumbling(minutes(1)), { allowedLateness: minutes(5), late })
    .aggregate('counts', ({ count }) => ({ rows: count() }))
}

function breaker(circuitBreaker: PipelineOptions['circuitBreaker'] & {}) {
  return pipeline({ name: 'taxi', tables: [bronze('trips', trips)], circuitBreaker }).circuitBreaker
}

function withTables(...tables: readonly TableNode[]): () => unknown {
  return () => pipeline({ name: 'taxi', tables })
}

describe('a pipeline', () => {
  test('is plain data: the source, the tables, and a circuit breaker that is on', () => {
    const spec = pipeline({ name: 'taxi', tables: [bronze('trips', trips)] })
    expect(spec).toEqual({
      name: 'taxi',
      source: trips.node,
      tables: [bronze('trips', trips)],
      circuitBreaker: { maxShare: 0.5, sample: 1_000 },
    })
    expect(isPipeline(spec)).toBe(true)
    expect(isPipeline({ name: 'taxi' })).toBe(false)
  })

  test('may have its circuit breaker changed in part, or off', () => {
    expect(breaker({ maxShare: 0.1 })).toEqual({ maxShare: 0.1, sample: 1_000 })
    expect(breaker(false)).toBeNull()
    expect(() => breaker({ maxShare: 1 })).toThrow('maxShare is 1')
    expect(() => breaker({ sample: 0 })).toThrow('sample is 0')
  })

  test('may have one name in several layers, and one step in several tables', () => {
    const clean = trips.filter('clean', () => true)
    expect(withTables(bronze('trips', trips), silver('trips', clean), silver('copy', clean))).not.toThrow()
  })

  test.each<[string, () => unknown, string, string]>([
    ['no tables', withTables(), 'NO_TABLES', 'pipeline "taxi" has no tables'],
    ['no list of tables', () => pipeline({ name: 'taxi' } as never), 'NO_TABLES', 'has no tables'],
    ['a stream among its tables', withTables(trips as never), 'WRONG_LAYER', 'tables[0] is no table'],
    [
      'a name with a space',
      () => pipeline({ name: 'my taxi', tables: [bronze('trips', trips)] }),
      'INVALID_NAME',
      '"my taxi"',
    ],
    [
      'two steps of one name',
      withTables(
        silver(
          'one',
          trips.filter('paid', () => true),
        ),
        silver(
          'two',
          trips.filter('paid', () => false),
        ),
      ),
      'DUPLICATE_NAME',
      "filter 'paid': another step has this name",
    ],
    [
      'a step with the name of the stream',
      withTables(
        silver(
          'one',
          trips.filter('trips', () => true),
        ),
      ),
      'DUPLICATE_NAME',
      "filter 'trips'",
    ],
    [
      'two tables of one name',
      withTables(bronze('trips', trips), bronze('trips', trips)),
      'DUPLICATE_NAME',
      'table bronze/trips',
    ],
    [
      'two streams',
      withTables(bronze('one', trips), bronze('two', tripStream())),
      'DUPLICATE_NAME',
      "the tables read from 2 streams: 'trips' and 'trips'",
    ],
    [
      'late rows that are kept for nobody',
      withTables(gold('counts', counts('side-table'))),
      'LATE_ROWS',
      "aggregate 'counts': late: 'side-table' and no table takes them",
    ],
    [
      'late rows that are not kept',
      () => {
        const results = counts('dead-letter')
        return withTables(gold('counts', results), silver('late', results.late as never))()
      },
      'LATE_ROWS',
      "late rows of 'counts': they are not kept: late is 'dead-letter'",
    ],
    [
      'late rows of results that are in no table',
      withTables(silver('late', counts('side-table').late)),
      'LATE_ROWS',
      'the aggregate itself is in no table',
    ],
  ])('is refused with %s', (_what, program, code, message) => {
    expect(program).toThrow(expect.objectContaining({ code, message: expect.stringContaining(message) }))
  })

  test('names all that is wrong at once', () => {
    const tables = [bronze('trips', trips), bronze('trips', trips)]
    expect(() => pipeline({ name: 'Taxi', tables, circuitBreaker: { sample: 0 } })).toThrow(
      /3 problems\n {2}pipeline: "Taxi".*\n {2}table bronze\/trips.*\n {2}circuitBreaker/,
    )
  })
})

describe('the check of a pipeline', () => {
  test('finds nothing in one that pipeline() made', () => {
    expect(validatePipeline(taxi())).toEqual([])
  })

  test('finds what is wrong with steps that were not made by the builder', () => {
    const spec = taxi()
    const source = { ...spec.source, name: 'Trips', eventTime: 'fare' }
    const table: TableNode = { ...spec.tables[0]!, input: source }
    const problems = validatePipeline({ ...spec, source, tables: [table] })
    expect(problems.map(({ code, step }) => `${code} ${step}`)).toEqual([
      "INVALID_NAME stream 'Trips'",
      "FIELD_TYPE stream 'Trips'",
    ])
  })
})
