import { type ColumnBatch, createBatch, setValid } from '../columns/column.ts'
import type { Field } from '../columns/column-type.ts'
import {
  appendBytes,
  appendInt32,
  appendNull,
  appendText,
  binaryColumn,
  int32Column,
} from '../columns/write.ts'
import type { RecordBatch } from '../ports.ts'
import {
  appendRecordColumns,
  RECORD_COLUMN_COUNT,
  type RecordOrigin,
  recordFields,
} from './record-columns.ts'

/** Why a record or a row went no further. */
export type DeadLetterReason =
  | 'undecodable'
  | 'unknown-schema'
  | 'incompatible-schema'
  | 'invalid'
  | 'processing'
  | 'late'
  | 'future'

export interface DeadLetter {
  /** Of the raw batch in hand. */
  readonly record: number
  readonly reason: DeadLetterReason
  /** 'decode', 'event-time', or the name that the program gave the step. */
  readonly stage: string
  readonly message: string
  readonly stack: string | null
}

/** The dead letters' place in the lake. All pipelines of a lake share the table. */
export const DEAD_LETTERS_PATH = 'dead_letters'

export function deadLetterFields(topics: readonly string[]): readonly Field[] {
  const text = (name: string, nullable: boolean): Field => ({ name, type: { kind: 'string' }, nullable })
  return [
    ...recordFields(topics),
    { name: '_value', type: { kind: 'bytes' }, nullable: true },
    text('reason', false),
    text('stage', false),
    text('message', false),
    text('stack', true),
    text('pipeline', false),
    { name: 'incarnation', type: { kind: 'int32' }, nullable: false },
    text('task', false),
    { name: '_processed_at', type: { kind: 'timestamp', unit: 'millis', local: false }, nullable: false },
  ]
}

const MESSAGE_CHARACTERS_MAX = 2_000
const STACK_CHARACTERS_MAX = 8_000

export interface DeadLetterOrigin extends RecordOrigin {
  readonly topics: readonly string[]
  readonly pipeline: string
  readonly incarnation: number
  readonly task: string
}

/** The dead letters of one epoch, as columns: the original bytes go in untouched. */
export class DeadLetterBatch {
  /** Complete but for `_processed_at`, the last column, which is filled at the cut. */
  readonly batch: ColumnBatch
  readonly #origin: DeadLetterOrigin
  readonly #record = new Int32Array(1)

  constructor(origin: DeadLetterOrigin) {
    this.batch = createBatch(deadLetterFields(origin.topics))
    this.#origin = origin
  }

  /** Returns how many bytes it takes, about. */
  append(letter: DeadLetter, records: RecordBatch, schemaIds: Int32Array): number {
    const columns = this.batch.columns
    this.#record[0] = letter.record
    appendRecordColumns(
      columns.slice(0, RECORD_COLUMN_COUNT),
      records,
      this.#origin,
      this.#record,
      schemaIds,
      1,
    )
    const [value, reason, stage, message, stack, pipeline, incarnation, task] =
      columns.slice(RECORD_COLUMN_COUNT)
    const end = records.valueEnd[letter.record]!
    if (end < 0) appendNull(value!)
    else {
      appendBytes(binaryColumn(value!), records.arena, records.valueStart[letter.record]!, end)
      setValid(value!, value!.length - 1, true)
    }
    appendText(binaryColumn(reason!), letter.reason)
    appendText(binaryColumn(stage!), letter.stage)
    appendText(binaryColumn(message!), letter.message.slice(0, MESSAGE_CHARACTERS_MAX))
    if (letter.stack === null) appendNull(stack!)
    else {
      appendText(binaryColumn(stack!), letter.stack.slice(0, STACK_CHARACTERS_MAX))
      setValid(stack!, stack!.length - 1, true)
    }
    appendText(binaryColumn(pipeline!), this.#origin.pipeline)
    appendInt32(int32Column(incarnation!), this.#origin.incarnation)
    appendText(binaryColumn(task!), this.#origin.task)
    this.batch.length++
    return (
      Math.max(0, end - records.valueStart[letter.record]!) +
      Math.min(letter.message.length, MESSAGE_CHARACTERS_MAX) +
      Math.min(letter.stack?.length ?? 0, STACK_CHARACTERS_MAX)
    )
  }
}
