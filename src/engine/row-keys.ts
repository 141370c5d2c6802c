import { appendNull, compileAppender } from '../columns/append.ts'
import { type Column, createColumn } from '../columns/column.ts'
import { compileRow, type RowReader } from '../columns/row.ts'
import { columnAt } from './field-path.ts'
import { type Frame, Selection } from './frame.ts'
import type { KeyPlan, ResultPlan } from './plan.ts'
import { type StepReport, thrown } from './row-step.ts'

interface ComputedKey {
  readonly of: (row: object) => unknown
  /** By row of the frame; rows that were not asked for are null. */
  readonly column: Column
  readonly append: (value: unknown) => string | null
}

/** The key columns of a frame's rows: fields of the row, and keys that callbacks compute. */
export class RowKeys {
  readonly #plan: ResultPlan
  readonly #frame: Frame
  readonly #reader: RowReader | null
  readonly #computed: readonly (ComputedKey | null)[]
  readonly #kept = new Selection()

  constructor(plan: ResultPlan, frame: Frame) {
    this.#plan = plan
    this.#frame = frame
    this.#computed = plan.keys.map(computedKey)
    this.#reader = this.#computed.every((key) => key === null) ? null : compileRow(plan.rowFields)
  }

  /** Computes keys of rows of the range in hand. Returns the rows that have one; the others are dead letters. */
  select(input: Selection, report: StepReport): Selection {
    if (this.#reader === null) return input
    this.#reader.bind(this.#frame.batch.columns)
    const kept = this.#kept
    kept.count = 0
    kept.reserve(input.count)
    for (let i = 0; i < input.count; i++) {
      const row = input.rows[i]!
      if (this.#compute(row, this.#reader, report)) kept.rows[kept.count++] = row
    }
    return kept
  }

  /** As of the last `select`. */
  get columns(): readonly Column[] {
    return this.#plan.keys.map(({ path }, i) =>
      path === null ? this.#computed[i]!.column : columnAt(this.#frame.batch.columns, path),
    )
  }

  clear(): void {
    for (const key of this.#computed) key?.column.truncate(0)
  }

  #compute(row: number, reader: RowReader, report: StepReport): boolean {
    const stage = this.#plan.node.name
    for (const key of this.#computed) {
      if (key === null) continue
      while (key.column.length < row) appendNull(key.column)
      let misfit: string | null
      try {
        misfit = millraceStep(key, reader.at(row))
      } catch (error) {
        report.refuse(this.#frame, row, thrown(stage, error))
        return false
      }
      if (misfit !== null) {
        report.refuse(this.#frame, row, { reason: 'invalid', stage, message: misfit, stack: null })
        return false
      }
    }
    return true
  }
}

/** A name that the stack of a dead letter is cut at. */
function millraceStep(key: ComputedKey, row: object): string | null {
  return key.append(key.of(row))
}

function computedKey({ field, of }: KeyPlan): ComputedKey | null {
  if (of === null) return null
  const column = createColumn(field)
  const columns = [column]
  const append = compileAppender([field])
  return { of, column, append: (value) => append({ [field.name]: value }, columns) }
}
