import type { Column } from '../../columns/column.ts'
import { appendNull } from '../../columns/append.ts'
import type { ColumnType, Field } from '../../columns/column-type.ts'
import { assert } from '../../errors.ts'
import { heldTypeOf } from './held-value.ts'
import type { LargeState } from './pane-states.ts'
import {
  BinMapping,
  addToSketch,
  createSketch,
  mergeSketch,
  quantilesOf,
  readSketch,
  writeSketch,
} from './quantile-sketch.ts'
import type { QuantileSketch } from './quantile-sketch.ts'
import { appendDouble } from './result-column.ts'
import { appendList } from './result-list.ts'
import { quotient } from './rounding.ts'

export interface QuantilesOptions {
  readonly resultField: Field
  readonly input: ColumnType
  readonly qs: readonly number[]
  readonly accuracy: number
}

/** Quantiles of numbers: one as a double, or several as a list of doubles, by the type of the result. */
export class Quantiles implements LargeState<QuantileSketch> {
  readonly resultField: Field
  readonly #qs: readonly number[]
  readonly #mapping: BinMapping
  readonly #numberAt: (column: Column, row: number) => number

  constructor({ resultField, input, qs, accuracy }: QuantilesOptions) {
    this.resultField = resultField
    this.#qs = qs
    this.#mapping = new BinMapping(accuracy)
    this.#numberAt = numberReader(input)
  }

  create(): QuantileSketch {
    return createSketch()
  }

  addRows(
    states: (QuantileSketch | null)[],
    column: Column | null,
    rows: Int32Array,
    panes: Int32Array,
    count: number,
  ): void {
    assert(column !== null, 'a quantile has an input column')
    const validity = column.validity
    for (let i = 0; i < count; i++) {
      const row = rows[i]!
      if (validity !== null && ((validity[row >> 3]! >> (row & 7)) & 1) === 0) continue
      const pane = panes[i]!
      const sketch = (states[pane] ??= createSketch())
      addToSketch(sketch, this.#mapping, this.#numberAt(column, row))
    }
  }

  merge(into: QuantileSketch, from: QuantileSketch): void {
    mergeSketch(into, from)
  }

  appendResult(sketch: QuantileSketch | null, column: Column): void {
    if (sketch === null) {
      appendNull(column)
      return
    }
    const results = quantilesOf(sketch, this.#mapping, this.#qs)
    if (column.storage === 'list') appendList(column, results, appendDouble)
    else appendDouble(column, results[0]!)
  }

  write(sketch: QuantileSketch): unknown {
    return writeSketch(sketch)
  }

  read(json: unknown): QuantileSketch {
    return readSketch(json)
  }
}

/** The double nearest to the value of a row. */
function numberReader(type: ColumnType): (column: Column, row: number) => number {
  if (type.kind === 'float32' || type.kind === 'float64') {
    return (column, row) => {
      assert(column.storage === 'float64' || column.storage === 'float32', 'a float column')
      return column.values[row]!
    }
  }
  const { take } = heldTypeOf(type)
  if (type.kind !== 'decimal') return (column, row) => Number(take(column, row))
  const divisor = 10n ** BigInt(type.scale)
  const rounded = Number(divisor)
  const isExact = Number.isSafeInteger(rounded)
  return (column, row) => {
    const unscaled = take(column, row)
    return isExact && typeof unscaled === 'number' ? unscaled / rounded : quotient(BigInt(unscaled), divisor)
  }
}
