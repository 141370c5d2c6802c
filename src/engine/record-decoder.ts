import type { RecordDecoder as ValueDecoder } from '../avro/decoder.ts'
import type { Column } from '../columns/column.ts'
import {
  GLUE_FIRST_BYTE,
  GLUE_FRAME_BYTES,
  glueFrameProblem,
  isGlueBodyCompressed,
} from '../columns/glue-frame.ts'
import { assert } from '../errors.ts'
import type { RecordBatch } from '../ports.ts'
import type { DeadLetter, DeadLetterOrigin } from './dead-letter.ts'
import { Frame } from './frame.ts'
import type { Plan } from './plan.ts'
import { appendRecordColumns, recordFields } from './record-columns.ts'
import { FRAME_BYTES, isVersion, NO_FRAME, type WriterSchema, type WriterSchemas } from './writer-schemas.ts'

type Refuse = (letter: DeadLetter) => void

/** The one record of an arena of its own: where it begins. */
const WHOLE = new Int32Array(1)

/** Records to rows: appends to the source's frame, and remembers which record each row is. */
export class RecordDecoder {
  readonly frame: Frame
  /** By record of the batch, for the range in hand: the number of its frame (`WriterSchemas.frameOf`). */
  schemaIds = new Int32Array(0)
  /** Of the range in hand: the bytes that compressed bodies came to. */
  inflatedBytes = 0
  readonly #origin: DeadLetterOrigin
  readonly #schemas: WriterSchemas
  readonly #dataColumns: readonly Column[]
  readonly #recordColumns: readonly Column[]
  readonly #inflatedEnd = new Int32Array(1)

  constructor(plan: Plan, origin: DeadLetterOrigin, schemas: WriterSchemas) {
    const { sourceFields } = plan
    this.frame = new Frame([...sourceFields, ...(plan.bronze.length > 0 ? recordFields(origin.topics) : [])])
    this.#origin = origin
    this.#schemas = schemas
    this.#dataColumns = this.frame.batch.columns.slice(0, sourceFields.length)
    this.#recordColumns = this.frame.batch.columns.slice(sourceFields.length)
  }

  /**
   * Starts a range with records `[from, to)`, of which the schemas must be known. Returns where the range ends: before `to` where compressed
   * bodies have come to `inflatedBytesMax`.
   */
  decode(batch: RecordBatch, from: number, to: number, inflatedBytesMax: number, refuse: Refuse): number {
    const { frame } = this
    frame.startRange(to - from)
    this.inflatedBytes = 0
    if (this.schemaIds.length < batch.count) this.schemaIds = new Int32Array(batch.count)
    const ids = this.schemaIds
    const { history } = batch
    const isStored = (record: number): boolean => history?.isStored[record] === 1
    for (let i = from; i < to; i++) {
      ids[i] = isStored(i) ? history!.schemaIds[i]! : this.#schemas.frameOf(batch, i)
    }
    let run = from
    while (run < to && this.inflatedBytes < inflatedBytesMax) {
      const id = ids[run]!
      const isOwn = isStored(run)
      let end = run + 1
      while (end < to && ids[end] === id && isStored(end) === isOwn) end++
      if (isOwn) this.#decodeValues(batch, this.#schemas.own, FRAME_BYTES, run, end, refuse)
      else if (id === NO_FRAME) for (let i = run; i < end; i++) refuse(unframed(batch, i))
      else if (isVersion(id)) end = this.#decodeVersions(batch, id, run, end, inflatedBytesMax, refuse)
      else this.#decodeRun(batch, id, run, end, refuse)
      run = end
    }
    const rows = frame.batch.length - frame.base
    if (this.#recordColumns.length > 0 && rows > 0) {
      appendRecordColumns(this.#recordColumns, batch, this.#origin, frame.records, ids, rows)
    }
    return run
  }

  #decodeRun(batch: RecordBatch, schemaId: number, from: number, to: number, refuse: Refuse): void {
    const writer = this.#schemas.get(schemaId)
    assert(writer !== undefined, `schema ${schemaId} was not asked for`)
    if (writer.kind === 'decoder') this.#decodeValues(batch, writer.decoder, FRAME_BYTES, from, to, refuse)
    else for (let record = from; record < to; record++) refuse(refusal(record, writer))
  }

  /** Records of one schema version of Glue, or of some that are unknown. Returns how far it came. */
  #decodeVersions(
    batch: RecordBatch,
    frame: number,
    from: number,
    to: number,
    inflatedBytesMax: number,
    refuse: Refuse,
  ): number {
    const { arena, valueStart } = batch
    let next = from
    while (next < to && this.inflatedBytes < inflatedBytesMax) {
      const writer = this.#schemas.versionOf(frame, batch, next)
      if (writer.kind === 'refused') refuse(refusal(next++, writer))
      else if (isGlueBodyCompressed(arena, valueStart[next]!)) {
        this.#decodeCompressed(batch, writer.decoder, next++, refuse)
      } else {
        let end = next + 1
        while (end < to && !isGlueBodyCompressed(arena, valueStart[end]!)) end++
        this.#decodeValues(batch, writer.decoder, GLUE_FRAME_BYTES, next, end, refuse)
        next = end
      }
    }
    return next
  }

  #decodeCompressed(batch: RecordBatch, decoder: ValueDecoder, record: number, refuse: Refuse): void {
    const { arena, valueStart, valueEnd } = batch
    const body = this.#schemas.inflate(
      arena.subarray(valueStart[record]! + GLUE_FRAME_BYTES, valueEnd[record]),
    )
    if (typeof body === 'string') return refuse(letter(record, 'undecodable', body))
    this.inflatedBytes += body.length
    this.#inflatedEnd[0] = body.length
    if (decoder.decode(body, WHOLE, this.#inflatedEnd, 0, 0, 1, this.#dataColumns) === 1) {
      this.#append(batch, record)
    } else refuse(letter(record, 'undecodable', decoder.failure))
  }

  #decodeValues(
    batch: RecordBatch,
    decoder: ValueDecoder,
    frameBytes: number,
    from: number,
    to: number,
    refuse: Refuse,
  ): void {
    const { arena, valueStart, valueEnd } = batch
    let next = from
    while (next < to) {
      const stop = decoder.decode(arena, valueStart, valueEnd, frameBytes, next, to, this.#dataColumns)
      for (let record = next; record < stop; record++) this.#append(batch, record)
      if (stop < to) refuse(letter(stop, 'undecodable', decoder.failure))
      next = stop + 1
    }
  }

  #append(batch: RecordBatch, record: number): void {
    const { frame } = this
    const at = frame.batch.length++ - frame.base
    frame.records[at] = record
    frame.offsets[at] = batch.offsets[record]!
  }
}

function unframed({ arena, valueStart, valueEnd }: RecordBatch, record: number): DeadLetter {
  const start = valueStart[record]!
  const end = valueEnd[record]!
  const bytes = end - start
  let message =
    'the value does not begin with the frame of a schema registry (a zero byte and a schema id; or a 3, the compression and the UUID of a schema version)'
  if (end < 0) message = 'the value is null (a tombstone)'
  else if (bytes === 0) message = 'the value is empty'
  else if (arena[start] === GLUE_FIRST_BYTE) message = glueFrameProblem(arena, start, end) ?? message
  else if (bytes < FRAME_BYTES)
    message = `the value has ${bytes} bytes, less than the frame of a schema registry`
  else if (arena[start] === 0) {
    message = 'the schema id in the frame is below zero, as none that a registry gives'
  }
  return letter(record, 'undecodable', message)
}

function refusal(record: number, { reason, message }: WriterSchema & { kind: 'refused' }): DeadLetter {
  return letter(record, reason, message)
}

function letter(record: number, reason: DeadLetter['reason'], message: string): DeadLetter {
  return { record, reason, stage: 'decode', message, stack: null }
}
