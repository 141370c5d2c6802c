import { appendNull } from '../../columns/append.ts'
import type { Column } from '../../columns/column.ts'
import { isValid } from '../../columns/column.ts'
import type { ColumnType, Field } from '../../columns/column-type.ts'
import { assert } from '../../errors.ts'
import type { RowsAbout } from './accumulator.ts'
import { offer } from './bounded-heap.ts'
import { heldTypeOf } from './held-value.ts'
import type { HeldType, HeldValue } from './held-value.ts'
import type { LargeState } from './pane-states.ts'
import { appendList } from './result-list.ts'
import { comparePlaces, offsetAt, readPlace } from './row-place.ts'
import type { RowPlace } from './row-place.ts'

interface RankedRow extends RowPlace {
  readonly value: HeldValue
  /** Null where rows are ranked by their place alone. */
  readonly by: HeldValue | null
}

export interface RankedRowsOptions {
  readonly resultField: Field
  readonly input: ColumnType
  /** Of top-k: the greatest come first. Null for collect: rows come by their place. */
  readonly by: ColumnType | null
  readonly max: number
}

/**
 * The values of the first `max` rows of an order, as a list: of top-k and of collect. Rows whose value, or whose `by`, is null are
 * passed over. The state is a heap of the rows.
 */
export class RankedRows implements LargeState<RankedRow[]> {
  readonly resultField: Field
  readonly #max: number
  readonly #value: HeldType
  readonly #by: HeldType | null
  readonly #compare: (left: RankedRow, right: RankedRow) => number

  constructor({ resultField, input, by, max }: RankedRowsOptions) {
    this.resultField = resultField
    this.#max = max
    const value = heldTypeOf(input)
    const rank = by === null ? null : heldTypeOf(by)
    this.#value = value
    this.#by = rank
    this.#compare = (left, right) => {
      const order = rank === null ? 0 : rank.compare(right.by!, left.by!)
      if (order !== 0) return order
      const place = comparePlaces(left, right)
      return place === 0 ? value.compare(left.value, right.value) : place
    }
  }

  create(): RankedRow[] {
    return []
  }

  addRows(
    states: (RankedRow[] | null)[],
    column: Column | null,
    rows: Int32Array,
    panes: Int32Array,
    count: number,
    about: RowsAbout,
  ): void {
    assert(column !== null, 'ranked rows have an input column')
    const { timesMs, task, base } = about
    for (let i = 0; i < count; i++) {
      const row = rows[i]!
      if (!isValid(column, row)) continue
      const by = this.#byOf(about.by, row)
      if (by === null && this.#by !== null) continue
      const heap = (states[panes[i]!] ??= [])
      const timeMs = timesMs[row - base]!
      if (heap.length === this.#max && this.#isBehind(heap[0]!, by, timeMs)) continue
      const value = this.#value.take(column, row)
      offer(heap, this.#max, this.#compare, { value, by, timeMs, task, offset: offsetAt(about, row) })
    }
  }

  merge(into: RankedRow[], from: RankedRow[]): void {
    for (const row of from) offer(into, this.#max, this.#compare, row)
  }

  appendResult(heap: RankedRow[] | null, column: Column): void {
    if (heap === null) {
      appendNull(column)
      return
    }
    const values = [...heap].sort(this.#compare).map(({ value }) => value)
    appendList(column, values, this.#value.append)
  }

  /** [value, by, event time, task, offset] of each row, in order. */
  write(heap: RankedRow[]): unknown {
    return [...heap]
      .sort(this.#compare)
      .map(({ value, by, timeMs, task, offset }) => [
        this.#value.toJson(value),
        by === null ? null : this.#by!.toJson(by),
        timeMs,
        task,
        offset,
      ])
  }

  read(json: unknown): RankedRow[] {
    assert(Array.isArray(json), 'the state of ranked rows is an array')
    const heap: RankedRow[] = []
    for (const row of json) {
      assert(Array.isArray(row) && row.length === 5, 'a ranked row is an array of five')
      const [value, by]: readonly unknown[] = row
      offer(heap, this.#max, this.#compare, {
        value: this.#value.fromJson(value),
        by: this.#by === null ? null : this.#by.fromJson(by),
        ...readPlace(row, 2),
      })
    }
    return heap
  }

  /** Null where it is null, or where rows are ranked by their place alone. */
  #byOf(column: Column | null, row: number): HeldValue | null {
    if (this.#by === null) return null
    assert(column !== null, 'top-k has a column to rank by')
    return isValid(column, row) ? this.#by.take(column, row) : null
  }

  /** True where a row does not come in, without looking at its value. */
  #isBehind(last: RankedRow, by: HeldValue | null, timeMs: number): boolean {
    if (this.#by === null) return timeMs > last.timeMs
    return this.#by.compare(by!, last.by!) < 0
  }
}
