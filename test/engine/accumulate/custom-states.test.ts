import { describe, expect, test } from 'vitest'
import { PipelineError } from '../../../src/errors.ts'
import type { CustomAggregateSpec } from '../../../src/topology/node.ts'
import { Aggregation, resultOf, stateOf } from './rows.ts'

interface Row {
  readonly x: number | null
}

type Parts = Partial<Pick<CustomAggregateSpec, 'type' | 'init'>> & {
  readonly add?: (state: never, row: never) => unknown
  readonly merge?: (left: never, right: never) => unknown
  readonly result?: (state: never) => unknown
}

/** The sum of squares, but for what is given. */
function custom(parts: Parts = {}): Aggregation {
  const spec: CustomAggregateSpec = {
    kind: 'custom',
    field: null,
    type: 'double',
    init: () => 0,
    add: (state: number, row: Row) => state + (row.x ?? 0) ** 2,
    merge: (left: number, right: number) => left + right,
    result: (state: number) => state,
    ...parts,
  }
  return new Aggregation(spec, { kind: 'float64' })
}

function failureOf(action: () => unknown): { code: string; message: string; advice: string | undefined } {
  try {
    action()
  } catch (error) {
    if (!(error instanceof PipelineError)) throw error
    return { code: error.code, message: error.message, advice: error.advice }
  }
  throw new Error('it did not fail')
}

describe('a custom aggregate', () => {
  test('adds rows, merges states, gives a result', () => {
    const accumulator = custom().of([{ x: 3 }, { x: null }, { x: 4 }])
    expect(resultOf(accumulator)).toBe(25)
    expect(stateOf(accumulator)).toEqual([25])
    expect(resultOf(custom().create())).toBe(0)
    expect(custom().create().write(0)).toBeNull()
  })

  test('tells a pane whose state is null from one without rows', () => {
    const aggregation = custom({
      type: ['null', 'string'],
      init: () => null,
      add: () => null,
      merge: () => null,
      result: () => null,
    })
    expect(stateOf(aggregation.of([{ x: 1 }]))).toEqual([null])
    expect(resultOf(aggregation.of([{ x: 1 }]))).toBeNull()
  })

  test('gives a result of any Avro type', () => {
    const aggregation = custom({
      type: {
        type: 'record',
        name: 'Range',
        fields: [
          { name: 'from', type: 'double' },
          { name: 'notes', type: { type: 'array', items: 'string' } },
        ],
      },
      result: (state: number) => ({ from: state, notes: ['a', 'b'] }),
    })
    expect(resultOf(aggregation.of([{ x: 2 }]))).toEqual({ from: 4, notes: ['a', 'b'] })
  })

  test('refuses the rows that add throws for, and adds the others', () => {
    const aggregation = custom({
      add: (_state: number, row: Row) => {
        if (row.x === null) throw new TypeError('no x')
        return row.x
      },
    })
    const accumulator = aggregation.create(2)
    const about = aggregation.about('task', [{ x: 1 }, { x: null }, { x: 5 }])
    const refused: [number, unknown][] = []
    accumulator.prepare!(Int32Array.of(0, 1, 2), 3, about, (row, error) => refused.push([row, error]))
    expect(refused).toEqual([[1, new TypeError('no x')]])
    // A row of several windows comes several times.
    accumulator.addRows(null, Int32Array.of(0, 0, 2), Int32Array.of(0, 1, 1), 3, about)
    expect([resultOf(accumulator, 0), resultOf(accumulator, 1)]).toEqual([1, 6])
  })

  test('leaves the states of other panes alone where merge changes its left argument', () => {
    const push = (left: number[], right: number[]): number[] => {
      left.push(...right)
      return left
    }
    const aggregation = custom({
      type: 'long',
      init: () => [],
      add: (state: number[], row: Row) => push(state, [row.x!]),
      merge: push,
      result: (state: number[]) => state.length,
    })
    const one = aggregation.create(3)
    aggregation.add(one, [{ x: 1 }], 0)
    aggregation.add(one, [{ x: 2 }], 1)
    one.mergePane(one, 0, 2)
    one.mergePane(one, 1, 2)
    one.movePane(0, 1)
    one.mergePane(one, 2, 1)
    expect([0, 1, 2].map((pane) => resultOf(one, pane))).toEqual([1n, 3n, 2n])
  })
})

describe('a custom aggregate that fails', () => {
  const broken = (): never => {
    throw new RangeError('out of it')
  }

  test('stops the pipeline and says which aggregate it was', () => {
    const merge = failureOf(() => custom({ merge: broken }).of([{ x: 1 }]))
    expect(merge).toMatchObject({
      code: 'AGGREGATE_FAILED',
      message: 'aggregate result: merge threw: out of it',
    })
    const accumulator = custom({ result: broken }).of([{ x: 1 }])
    expect(failureOf(() => resultOf(accumulator)).message).toBe('aggregate result: result threw: out of it')
  })

  test('stops it where a result is not of its type', () => {
    const accumulator = custom({ type: 'int', result: () => 1.5 }).of([{ x: 1 }])
    expect(failureOf(() => resultOf(accumulator))).toEqual({
      code: 'AGGREGATE_FAILED',
      message:
        'aggregate result: the value of result does not fit: field result is 1.5, not a 32-bit integer',
      advice: 'Return a value of the type that the aggregate declares, or declare another one.',
    })
    const missing = custom({ result: () => undefined }).of([{ x: 1 }])
    expect(failureOf(() => resultOf(missing)).message).toContain('field result is missing')
  })
})

describe('the state of a custom aggregate', () => {
  const state = (value: unknown): unknown =>
    stateOf(custom({ merge: (_left: never, right: never) => right, add: () => value }).of([{ x: 1 }]))

  test('comes back from JSON as it was', () => {
    const value = { a: [1, null, 'ä\ud800', true, { b: [] }], ['__proto__']: { c: 1e300 } }
    expect(state(value)).toStrictEqual([value])
    expect(state(Object.assign(Object.create(null) as object, { a: 1 }))).toEqual([{ a: 1 }])
  })

  test('is the same text whatever the order of its properties', () => {
    expect(JSON.stringify(state({ b: 1, a: { d: 1, c: -0 } }))).toBe('[{"a":{"c":0,"d":1},"b":1}]')
  })

  const circular: { self?: unknown } = {}
  circular.self = circular
  class Point {
    readonly x = 1
  }
  test.each<[unknown, string]>([
    [undefined, 'state is undefined'],
    [{ a: { b: undefined } }, 'state.a.b is undefined'],
    [[1, 2n], 'state[1] is 2n'],
    [{ a: [Number.NaN] }, 'state.a[0] is NaN'],
    [Infinity, 'state is Infinity'],
    [{ at: new Date(0) }, 'state.at is a Date'],
    [new Map(), 'state is a Map'],
    [Uint8Array.of(1), 'state is a Uint8Array'],
    [new Point(), 'state is a Point'],
    [Promise.resolve(1), 'state is a Promise'],
    [{ f: () => 1 }, 'state.f is a function'],
    [{ [Symbol('s')]: 1 }, 'state has the property Symbol(s)'],
    [Object.assign([1], { note: 'x' }), 'state is an array with the property note'],
    // oxlint-disable-next-line no-sparse-arrays -- the point of it
    [[1, , 2], 'state is an array with holes'],
    [circular, 'is nested deeper than 100'],
  ])('is refused where JSON would lose something: %#', (value, why) => {
    const failure = failureOf(() => state(value))
    expect(failure.code).toBe('AGGREGATE_STATE')
    expect(failure.message).toContain(why)
    expect(failure.message).toContain('aggregate result: JSON cannot hold its state')
    expect(failure.advice).toContain('bigint')
  })
})
