import type { ColumnBatch } from '../columns/column.ts'
import type { Field } from '../columns/column-type.ts'
import { compileRow, type RowReader } from '../columns/row.ts'
import { messageOf, PipelineError } from '../errors.ts'
import type { HavingNode } from '../topology/node.ts'
import { Selection } from './frame.ts'

/** The `having` steps between results and one of their readers, in their order. */
export class HavingFilter {
  readonly #nodes: readonly HavingNode[]
  readonly #reader: RowReader
  readonly #selected = new Selection()

  constructor(nodes: readonly HavingNode[], fields: readonly Field[]) {
    this.#nodes = nodes
    this.#reader = compileRow(fields)
  }

  /** Throws HAVING_FAILED where a predicate throws: a result is no record that could become a dead letter. */
  passes(batch: ColumnBatch, row: number): boolean {
    this.#reader.bind(batch.columns)
    return this.#passes(row)
  }

  /** The rows of [from, to) that pass. Valid until the next call. */
  select(batch: ColumnBatch, from: number, to: number): Selection {
    this.#reader.bind(batch.columns)
    const selected = this.#selected
    selected.count = 0
    selected.reserve(to - from)
    for (let row = from; row < to; row++) if (this.#passes(row)) selected.rows[selected.count++] = row
    return selected
  }

  /** Those of a selection that pass. Valid until the next call. */
  selectOf(batch: ColumnBatch, rows: Selection): Selection {
    this.#reader.bind(batch.columns)
    const selected = this.#selected
    selected.count = 0
    selected.reserve(rows.count)
    for (let i = 0; i < rows.count; i++) {
      if (this.#passes(rows.rows[i]!)) selected.rows[selected.count++] = rows.rows[i]!
    }
    return selected
  }

  #passes(row: number): boolean {
    for (const { name, predicate } of this.#nodes) {
      try {
        if (!predicate(this.#reader.at(row) as never)) return false
      } catch (error) {
        throw new PipelineError('HAVING_FAILED', `having ${name} threw: ${messageOf(error)}`, {
          cause: error,
          advice: 'Mend the predicate: it must take every result, nulls among the aggregates included.',
        })
      }
    }
    return true
  }
}
