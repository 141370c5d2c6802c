import type { RecordDecoder as ValueDecoder } from '../avro/decoder.ts'
import type { Column } from '../columns/column.ts'
import { assert } from '../errors.ts'
import type { RecordBatch } from '../ports.ts'
import type { DeadLetter, DeadLetterOrigin } from './dead-letter.ts'
import { Frame } from './frame.ts'
import type { Plan } from './plan.ts'
import { appendRecordColumns, recordFields } from './record-columns.ts'
import { FRAME_BYTES, schemaIdOf, type WriterSchemas } from './writer-schemas.ts'

type Refuse = (letter: DeadLetter) => void

/** Records to rows: appends to the source's frame, and remembers which record each row is. */
export class RecordDecoder {
  readonly frame: Frame
  /** By record of the batch, for the range in hand; below zero where there is none. */
  schemaIds = new Int32Array(0)
  readonly #origin: DeadLetterOrigin
  readonly #schemas: WriterSchemas
  readonly #dataColumns: readonly Column[]
  readonly #recordColumns: readonly Column[]

  constructor(plan: Plan, origin: DeadLetterOrigin, schemas: WriterSchemas) {
    const { sourceFields } = plan
    this.frame = new Frame([...sourceFields, ...(plan.bronze.length > 0 ? recordFields(origin.topics) : [])])
    this.#origin = origin
    this.#schemas = schemas
    this.#dataColumns = this.frame.batch.columns.slice(0, sourceFields.length)
    this.#recordColumns = this.frame.batch.columns.slice(sourceFields.length)
  }

  /** Starts a range with records `[from, to)`, of which the schemas must be known. */
  decode(batch: RecordBatch, from: number, to: number, refuse: Refuse): void {
    const { frame } = this
    frame.startRange(to - from)
    if (this.schemaIds.length < batch.count) this.schemaIds = new Int32Array(batch.count)
    const ids = this.schemaIds
    const { history } = batch
    const isStored = (record: number): boolean => history?.isStored[record] === 1
    for (let i = from; i < to; i++) ids[i] = isStored(i) ? history!.schemaIds[i]! : schemaIdOf(batch, i)
    let run = from
    while (run < to) {
      const id = ids[run]!
      const isOwn = isStored(run)
      let end = run + 1
      while (end < to && ids[end] === id && isStored(end) === isOwn) end++
      if (isOwn) this.#decodeValues(batch, this.#schemas.own, run, end, refuse)
      else if (id < 0) for (let i = run; i < end; i++) refuse(unframed(batch, i))
      else this.#decodeRun(batch, id, run, end, refuse)
      run = end
    }
    const rows = frame.batch.length - frame.base
    if (this.#recordColumns.length > 0 && rows > 0) {
      appendRecordColumns(this.#recordColumns, batch, this.#origin, frame.records, ids, rows)
    }
  }

  #decodeRun(batch: RecordBatch, schemaId: number, from: number, to: number, refuse: Refuse): void {
    const writer = this.#schemas.get(schemaId)
    assert(writer !== undefined, `schema ${schemaId} was not asked for`)
    if (writer.kind === 'refused') {
      const { reason, message } = writer
      for (let record = from; record < to; record++) refuse(letter(record, reason, message))
      return
    }
    this.#decodeValues(batch, writer.decoder, from, to, refuse)
  }

  #decodeValues(batch: RecordBatch, decoder: ValueDecoder, from: number, to: number, refuse: Refuse): void {
    const { frame } = this
    const { arena, valueStart, valueEnd, offsets } = batch
    let next = from
    while (next < to) {
      const stop = decoder.decode(arena, valueStart, valueEnd, FRAME_BYTES, next, to, this.#dataColumns)
      for (let record = next; record < stop; record++) {
        const at = frame.batch.length++ - frame.base
        frame.records[at] = record
        frame.offsets[at] = offsets[record]!
      }
      if (stop < to) refuse(letter(stop, 'undecodable', decoder.failure))
      next = stop + 1
    }
  }
}

function unframed(batch: RecordBatch, record: number): DeadLetter {
  const bytes = batch.valueEnd[record]! - batch.valueStart[record]!
  let message = 'the value does not begin with the frame of a schema registry (a zero byte and a schema id)'
  if (batch.valueEnd[record]! < 0) message = 'the value is null (a tombstone)'
  else if (bytes >= FRAME_BYTES && batch.arena[batch.valueStart[record]!] === 0) {
    message = 'the schema id in the frame is below zero, as none that a registry gives'
  } else if (bytes === 0) message = 'the value is empty'
  else if (bytes < FRAME_BYTES)
    message = `the value has ${bytes} bytes, less than the frame of a schema registry`
  return letter(record, 'undecodable', message)
}

function letter(record: number, reason: DeadLetter['reason'], message: string): DeadLetter {
  return { record, reason, stage: 'decode', message, stack: null }
}
