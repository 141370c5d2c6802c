import { appendNull } from '../../columns/append.ts'
import type { Column } from '../../columns/column.ts'
import type { Field } from '../../columns/column-type.ts'
import { PipelineError, assert } from '../../errors.ts'
import { heldTypeOf } from './held-value.ts'
import type { HeldType, HeldValue } from './held-value.ts'
import type { LargeState } from './pane-states.ts'
import { appendList } from './result-list.ts'

export interface FrequentValuesOptions {
  readonly resultField: Field
  readonly input: Field
  readonly k: number
  readonly distinctMax: number
}

/** Rows by value: a map takes -0 for 0 and NaN for itself, and bigints by their value. */
type Counts = Map<HeldValue, number>

/** The k values that most rows have, most frequent first, the smaller value first where two have as many. */
export class FrequentValues implements LargeState<Counts> {
  readonly resultField: Field
  readonly #options: FrequentValuesOptions
  readonly #held: HeldType

  constructor(options: FrequentValuesOptions) {
    this.resultField = options.resultField
    this.#options = options
    this.#held = heldTypeOf(options.input.type)
  }

  create(): Counts {
    return new Map()
  }

  addRows(
    states: (Counts | null)[],
    column: Column | null,
    rows: Int32Array,
    panes: Int32Array,
    count: number,
  ): void {
    assert(column !== null, 'frequent values have an input column')
    const validity = column.validity
    for (let i = 0; i < count; i++) {
      const row = rows[i]!
      if (validity !== null && ((validity[row >> 3]! >> (row & 7)) & 1) === 0) continue
      const pane = panes[i]!
      this.#add((states[pane] ??= new Map()), this.#held.take(column, row), 1)
    }
  }

  merge(into: Counts, from: Counts): void {
    for (const [value, rows] of from) this.#add(into, value, rows)
  }

  appendResult(counts: Counts | null, column: Column): void {
    if (counts === null) {
      appendNull(column)
      return
    }
    const ranked = [...counts].sort(
      (left, right) => right[1] - left[1] || this.#held.compare(left[0], right[0]),
    )
    const values = ranked.slice(0, this.#options.k).map(([value]) => value)
    appendList(column, values, this.#held.append)
  }

  /** Value, rows, value, rows …, by value. */
  write(counts: Counts): unknown {
    const { compare, toJson } = this.#held
    return [...counts]
      .sort(([left], [right]) => compare(left, right))
      .flatMap(([value, rows]) => [toJson(value), rows])
  }

  read(json: unknown): Counts {
    assert(Array.isArray(json) && json.length % 2 === 0, 'the state of frequent values is pairs')
    const counts: Counts = new Map()
    for (let i = 0; i < json.length; i += 2) counts.set(this.#held.fromJson(json[i]), Number(json[i + 1]))
    return counts
  }

  #add(counts: Counts, value: HeldValue, rows: number): void {
    const before = counts.get(value)
    counts.set(value, before === undefined ? rows : before + rows)
    if (counts.size > this.#options.distinctMax) throw this.#tooMany()
  }

  #tooMany(): PipelineError {
    const { resultField, input, distinctMax } = this.#options
    return new PipelineError(
      'AGGREGATE_LIMIT',
      `aggregate ${resultField.name}: field ${input.name} has more than ${distinctMax} different values in one window`,
      {
        advice:
          'mostFrequent counts every value. Raise its distinctMax (each value takes about 100 bytes a window), or map the field to fewer values, group by more fields, or make the window smaller.',
      },
    )
  }
}
