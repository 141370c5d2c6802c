import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ColumnType } from '../../../src/columns/column-type.ts'
import type { Accumulator } from '../../../src/engine/accumulate/accumulator.ts'
import { createAccumulator } from '../../../src/engine/accumulate/accumulator.ts'
import { accumulated, addAll, aggregateOf, bitsOf, fieldOf, inputOf, resultOf } from './cells.ts'
import type { Cell, PlainKind } from './cells.ts'

/**
 * The promise that the engine builds on: however rows are ordered, split into partials, moved, written, read and
 * merged, the result has the same bits and the state the same JSON.
 */
const NUMERIC: readonly PlainKind[] = ['count', 'sum', 'avg', 'min', 'max']
const ORDERED: readonly PlainKind[] = ['count', 'min', 'max']

const floats = fc.oneof(
  fc.double(),
  fc.constantFrom(-0, 0, Number.NaN, Infinity, -Infinity, 1e308, -1e308, 1e-308, 5e-324, 0.1, 1),
  fc
    .tuple(fc.double({ min: -1, max: 1, noNaN: true }), fc.integer({ min: -60, max: 60 }))
    .map(([m, e]) => m * 2 ** e),
)
const finite = floats.map((value) => (Number.isFinite(value) ? value : 0.3))
const longs = fc.oneof(
  fc.bigInt(-(2n ** 61n), 2n ** 61n),
  fc.bigInt(-10n, 10n),
  fc.constantFrom(-(2n ** 32n), 2n ** 31n),
)
const ints = fc.oneof(fc.integer(), fc.constantFrom(2 ** 31 - 1, -(2 ** 31), 0, -1))
const decimals = fc.oneof(fc.bigInt(-(10n ** 36n), 10n ** 36n), fc.bigInt(-1000n, 1000n))
const strings = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 6 }),
  fc.string({ unit: fc.constantFrom('a', 'ä', '\u{ffff}', '\u{1f600}'), maxLength: 4 }),
)

const cases: readonly {
  type: ColumnType
  cell: fc.Arbitrary<Cell>
  kinds: readonly PlainKind[]
}[] = [
  { type: { kind: 'float64' }, cell: finite, kinds: NUMERIC },
  { type: { kind: 'float64' }, cell: floats, kinds: NUMERIC },
  { type: { kind: 'float32' }, cell: floats, kinds: NUMERIC },
  { type: { kind: 'int32' }, cell: ints, kinds: NUMERIC },
  { type: { kind: 'int64' }, cell: longs, kinds: NUMERIC },
  { type: { kind: 'decimal', precision: 38, scale: 4 }, cell: decimals, kinds: NUMERIC },
  { type: { kind: 'date' }, cell: ints, kinds: ORDERED },
  { type: { kind: 'time', unit: 'micros' }, cell: longs, kinds: ORDERED },
  { type: { kind: 'timestamp', unit: 'millis', local: false }, cell: longs, kinds: ORDERED },
  { type: { kind: 'string' }, cell: strings, kinds: ORDERED },
]

describe.each(cases)('$type.kind', ({ type, cell, kinds }) => {
  test.each(kinds)('%s does not depend on how rows were split and merged', (kind) => {
    const field = fieldOf(type)
    const rows = fc.array(fc.option(cell, { freq: 8 }), { maxLength: 30 })
    fc.assert(
      fc.property(rows, fc.integer(), (cells, seed) => {
        const direct = accumulated(aggregateOf(kind), field, cells)
        const merged = scattered({ kind, type, cells, seed })
        expect(canonical(resultOf(merged))).toBe(canonical(resultOf(direct)))
        expect(JSON.stringify(merged.write(0))).toBe(JSON.stringify(direct.write(0)))
      }),
      { numRuns: 200 },
    )
  })
})

interface Scattering {
  readonly kind: PlainKind
  readonly type: ColumnType
  readonly cells: readonly Cell[]
  readonly seed: number
}

/** The cells in another order, through panes of several accumulators, in pane 0 of what is returned. */
function scattered({ kind, type, cells, seed }: Scattering): Accumulator {
  const below = numbersBelow(seed)
  const field = fieldOf(type)
  const panes = 1 + below(4)
  const partials = Array.from({ length: 1 + below(4) }, () => {
    const accumulator = createAccumulator(aggregateOf(kind), inputOf(field))
    accumulator.reserve(panes)
    return accumulator
  })
  const rest = [...cells]
  while (rest.length > 0) {
    const share = Array.from(
      { length: Math.min(rest.length, 1 + below(4)) },
      () => rest.splice(below(rest.length), 1)[0]!,
    )
    addAll(partials[below(partials.length)]!, below(panes), field, share)
  }

  const result = createAccumulator(aggregateOf(kind), inputOf(field))
  result.reserve(3)
  const sources = partials.flatMap((partial) =>
    Array.from({ length: panes }, (_, pane) => ({ partial, pane })),
  )
  while (sources.length > 0) {
    const { partial, pane } = sources.splice(below(sources.length), 1)[0]!
    const state: unknown = JSON.parse(JSON.stringify(partial.write(pane)))
    const way = below(4)
    if (way === 0) {
      result.mergePane(partial, pane, 0)
    } else if (way === 1) {
      result.read(1, state)
      result.mergePane(result, 1, 0)
    } else if (way === 2) {
      result.reserve(200)
      result.read(199, state)
      result.movePane(199, 2)
      result.mergePane(result, 2, 0)
    } else {
      // The other way around: what was merged so far goes into the next one, and comes back.
      partial.mergePane(result, 0, pane)
      result.reset(0)
      result.mergePane(partial, pane, 0)
    }
  }
  return result
}

/** Deterministic, from a seed that fast-check can shrink. */
function numbersBelow(seed: number): (limit: number) => number {
  let state = seed | 1
  return (limit) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % limit
  }
}

function canonical(cell: Cell): string {
  return typeof cell === 'number' ? bitsOf(cell) : `${typeof cell} ${cell}`
}
