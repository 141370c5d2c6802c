import { type ColumnBatch, createColumn } from '../columns/column.ts'
import type { Field } from '../columns/column-type.ts'
import { int64Column, setInt64 } from '../columns/write.ts'
import { Selection } from './frame.ts'
import { HavingFilter } from './having.ts'
import type { FiredResults } from './merge-window.ts'
import type { TableRows } from './partition-task.ts'
import type { GoldPlan, Plan, TopicPlan } from './plan.ts'

export interface MergedTable extends TableRows {
  /** Epochs of this task of which the files leave the table. */
  readonly replaces: readonly number[]
}

export interface MergedTopic {
  /** Index into `plan.topics`. */
  readonly topic: number
  readonly batch: ColumnBatch
  /** Null: the first `count`. */
  readonly selection: Int32Array | null
  readonly count: number
  /** Keys that get a null value. */
  readonly retracted: {
    readonly batch: ColumnBatch
    readonly selection: Int32Array | null
    readonly count: number
  }
}

/** A table with the newest revisions or all, and with or without `having`. */
export class TableReader {
  readonly from: GoldPlan
  readonly #having: HavingFilter | null
  /** The table has a column more than the result. */
  readonly #hasTime: boolean

  constructor(plan: Plan, table: GoldPlan) {
    const { resultFields } = plan.results[table.result]!
    this.from = table
    this.#having = table.filters.length === 0 ? null : new HavingFilter(table.filters, resultFields)
    this.#hasTime = table.shape.fields.length > resultFields.length
  }

  read(fired: FiredResults, nowMs: number): { readonly output: MergedTable; readonly added: number } {
    const isNewest = this.from.node.revisions !== 'all'
    const end = isNewest ? fired.written : fired.count
    const selected = this.#having?.select(fired.batch, 0, end) ?? null
    const { shape } = this.from
    return {
      output: {
        shape,
        batch: this.#hasTime ? withTime(fired.batch, shape.fields.at(-1)!, nowMs) : fired.batch,
        selection: selected === null ? null : selected.rows,
        count: selected === null ? end : selected.count,
        replaces: isNewest ? fired.replacedEpochs : [],
      },
      added: selected === null ? fired.count : countBelow(selected, fired.count),
    }
  }
}

/** A topic gets each new revision that it takes, and a null value for what it had and takes no more. */
export class TopicReader {
  readonly from: TopicPlan
  /** Null: every row. */
  readonly takes: ((batch: ColumnBatch, row: number) => boolean) | null
  readonly #topic: number
  readonly #having: HavingFilter | null
  /** Of the topics of its result. */
  readonly #bit: number
  readonly #retracted = new Selection()

  constructor(plan: Plan, topic: TopicPlan, index: number) {
    const filter = new HavingFilter(topic.filters, plan.results[topic.result]!.resultFields)
    this.from = topic
    this.#topic = index
    this.#having = topic.filters.length === 0 ? null : filter
    this.takes = this.#having === null ? null : (batch, row) => filter.passes(batch, row)
    this.#bit = 1 << plan.topics.slice(0, index).filter(({ result }) => result === topic.result).length
  }

  read(fired: FiredResults): MergedTopic {
    const selected = this.#having?.select(fired.batch, 0, fired.count) ?? null
    const gone = this.#retracted
    gone.count = 0
    gone.reserve(fired.retractedFrom.length)
    fired.retractedFrom.forEach((topics, row) => {
      if ((topics & this.#bit) !== 0) gone.rows[gone.count++] = row
    })
    return {
      topic: this.#topic,
      batch: fired.batch,
      selection: selected === null ? null : selected.rows,
      count: selected === null ? fired.count : selected.count,
      retracted: { batch: fired.retracted, selection: gone.rows, count: gone.count },
    }
  }
}

function countBelow({ rows, count }: Selection, limit: number): number {
  let below = 0
  for (let i = 0; i < count; i++) if (rows[i]! < limit) below++
  return below
}

function withTime(batch: ColumnBatch, field: Field, timeMs: number): ColumnBatch {
  const column = int64Column(createColumn(field))
  column.reserve(batch.length)
  for (let row = 0; row < batch.length; row++) setInt64(column, row, timeMs)
  column.length = batch.length
  return { length: batch.length, columns: [...batch.columns, column] }
}
