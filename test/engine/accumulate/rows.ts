import { compileAppender } from '../../../src/columns/append.ts'
import type { Column } from '../../../src/columns/column.ts'
import { createBatch, createColumn } from '../../../src/columns/column.ts'
import type { ColumnType, Field } from '../../../src/columns/column-type.ts'
import { valueAt } from '../../../src/columns/row.ts'
import type { Accumulator, AccumulatorFields, RowsAbout } from '../../../src/engine/accumulate/accumulator.ts'
import { createAccumulator } from '../../../src/engine/accumulate/accumulator.ts'
import type { AggregateSpec } from '../../../src/topology/node.ts'

/** A row as tests write it: `x` is the field of the aggregate, `by` what it is ranked by. */
export interface TestRow {
  readonly x: unknown
  readonly by?: unknown
  readonly timeMs?: number
  readonly task?: string
  readonly offset?: number
}

/** An aggregate and the columns of its rows. */
export class Aggregation {
  readonly #spec: AggregateSpec
  readonly #fields: readonly [Field, Field]

  constructor(spec: AggregateSpec, type: ColumnType, byType: ColumnType = { kind: 'float64' }) {
    this.#spec = spec
    this.#fields = [
      { name: 'x', type, nullable: true },
      { name: 'by', type: byType, nullable: true },
    ]
  }

  create(panes = 1): Accumulator {
    const [input, by] = this.#fields
    const hasBy = 'by' in this.#spec
    const isCustom = this.#spec.kind === 'custom'
    const fields: AccumulatorFields = {
      input: isCustom ? null : input,
      by: hasBy ? by : null,
      row: this.#fields,
    }
    const accumulator = createAccumulator({ name: 'result', spec: this.#spec }, fields)
    accumulator.reserve(panes)
    return accumulator
  }

  /** Adds rows, of any tasks, to a pane, as the window step does: those of one task at a time. */
  add(accumulator: Accumulator, rows: readonly TestRow[], pane = 0): void {
    for (const task of new Set(rows.map((row) => row.task ?? 'task'))) {
      this.#addOf(
        task,
        accumulator,
        rows.filter((row) => (row.task ?? 'task') === task),
        pane,
      )
    }
  }

  of(rows: readonly TestRow[]): Accumulator {
    const accumulator = this.create()
    this.add(accumulator, rows)
    return accumulator
  }

  /** The columns of rows, and what accumulators learn of them. */
  about(task: string, rows: readonly TestRow[]): RowsAbout {
    const { columns } = createBatch(this.#fields)
    const append = compileAppender(this.#fields)
    for (const { x, by } of rows) {
      const why = append({ x, by: by ?? null }, columns)
      if (why !== null) throw new Error(why)
    }
    return {
      by: columns[1]!,
      columns,
      timesMs: Float64Array.from(rows, ({ timeMs }) => timeMs ?? 0),
      offsets: Float64Array.from(rows, ({ offset }) => offset ?? 0),
      base: 0,
      task,
    }
  }

  #addOf(task: string, accumulator: Accumulator, rows: readonly TestRow[], pane: number): void {
    const about = this.about(task, rows)
    const indices = Int32Array.from(rows.keys())
    const refuse = (_row: number, error: unknown): never => {
      throw error
    }
    accumulator.prepare?.(indices, rows.length, about, refuse)
    const column: Column | null = this.#spec.kind === 'custom' ? null : about.columns[0]!
    accumulator.addRows(
      column,
      indices,
      indices.map(() => pane),
      rows.length,
      about,
    )
  }
}

export function resultOf(accumulator: Accumulator, pane = 0): unknown {
  const column = createColumn(accumulator.resultField)
  accumulator.appendResult(pane, column)
  return valueAt(column, 0)
}

/** The result of rows that have nothing but a value. */
export function resultOfValues(spec: AggregateSpec, type: ColumnType, values: readonly unknown[]): unknown {
  return resultOf(new Aggregation(spec, type).of(values.map((x) => ({ x }))))
}

/** The state of a pane, as it comes back from a file. */
export function stateOf(accumulator: Accumulator, pane = 0): unknown {
  return JSON.parse(JSON.stringify(accumulator.write(pane)))
}

/** Deterministic, from a seed that fast-check can shrink. */
export function numbersBelow(seed: number): (limit: number) => number {
  let state = seed | 1
  return (limit) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % limit
  }
}

/** The rows in another order, through panes of several accumulators, in pane 0 of what is returned. */
export function scattered(aggregation: Aggregation, rows: readonly TestRow[], seed: number): Accumulator {
  const below = numbersBelow(seed)
  const panes = 1 + below(3)
  const partials = Array.from({ length: 1 + below(3) }, () => aggregation.create(panes))
  const rest = [...rows]
  while (rest.length > 0) {
    const share = Array.from({ length: Math.min(rest.length, 1 + below(4)) }, () => takeAny(rest, below))
    aggregation.add(partials[below(partials.length)]!, share, below(panes))
  }

  const result = aggregation.create(3)
  const sources = partials.flatMap((partial) =>
    Array.from({ length: panes }, (_, pane) => ({ partial, pane })),
  )
  while (sources.length > 0) {
    const { partial, pane } = takeAny(sources, below)
    const way = below(4)
    if (way === 0) result.mergePane(partial, pane, 0)
    else if (way === 1) {
      result.read(1, stateOf(partial, pane))
      result.mergePane(result, 1, 0)
    } else if (way === 2) {
      result.reserve(200)
      result.read(199, stateOf(partial, pane))
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

function takeAny<Item>(items: Item[], below: (limit: number) => number): Item {
  return items.splice(below(items.length), 1)[0]!
}
