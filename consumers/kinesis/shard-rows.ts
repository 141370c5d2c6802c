import type { WireRecord } from '../../src/kinesis/api.ts'
import { RecordRows } from '../../src/kafka/record-rows.ts'
import type { Header, RecordBatch } from '../../src/ports.ts'
import { Aggregate } from './aggregate.ts'
import type { HashRange } from './hash-range.ts'
import { encodeKinesisPosition, isBeginning, type KinesisPosition, type PositionPlace } from './position.ts'

export interface ShardRowsOptions {
  /** Null: every key is the shard's. */
  readonly range: HashRange | null
  /** Of the stream. */
  readonly createdMs: number
  /** An aggregate had so many records of other shards. */
  readonly foreign: (records: number) => void
}

/** The headers that records come with. */
export const SEQUENCE_HEADER = 'kinesis.sequence_number'
export const SUB_SEQUENCE_HEADER = 'kinesis.sub_sequence_number'
export const EXPLICIT_KEY_HEADER = 'kinesis.explicit_hash_key'

const ARENA_BYTES_MIN = 64 * 1024
/** A batch is full with so many, if not before: one arena is kept for each shard. */
const BATCH_BYTES = 1024 * 1024
const SEQUENCE_CHARS_MAX = 129
const UTF8_BYTES_MAX = 3
/** Of a record without its data and its key, in memory. */
const RECORD_BYTES = 128

/** What a shard has given and nobody has read yet; gives it out in batches, those in aggregates one by one. */
export class ShardRows {
  readonly #options: ShardRowsOptions
  readonly #rows = new RecordRows()
  readonly #aggregate = new Aggregate()
  /** Answers that have records left. */
  readonly #queue: (readonly WireRecord[])[] = []
  /** In the first of them: the record that is next. */
  #head = 0
  /** In that record, where it is an aggregate that has been taken apart: the one that is next; else -1. */
  #nextInside = -1
  #bufferedBytes = 0
  #place: PositionPlace
  #offset: number
  #asOfMs: number
  /** Something was read: `#asOfMs` is no longer that of the decision to begin with whatever there is, but what was read. */
  #hasBegun: boolean
  #arena: Buffer = Buffer.allocUnsafeSlow(ARENA_BYTES_MIN)
  #used = 0
  /** By row: the record on the wire, and the one in it behind the row; -1 behind all of it. */
  #sequences: string[] = []
  #insideAfter = new Int32Array(0)

  constructor({ place, offset, asOfMs }: KinesisPosition, options: ShardRowsOptions) {
    this.#place = place
    this.#offset = offset
    this.#asOfMs = asOfMs
    this.#hasBegun = !isBeginning(place)
    this.#options = options
  }

  /** Behind what has been taken. */
  get position(): KinesisPosition {
    return {
      createdMs: this.#options.createdMs,
      place: this.#place,
      offset: this.#offset,
      asOfMs: this.#asOfMs,
    }
  }

  get bufferedBytes(): number {
    return this.#bufferedBytes
  }

  get isEmpty(): boolean {
    return this.#queue.length === 0
  }

  add(records: readonly WireRecord[]): void {
    if (records.length === 0) return
    this.#queue.push(records)
    for (const record of records) this.#bufferedBytes += bytesOf(record)
  }

  /** All that arrived before this moment has been taken. */
  knownUntil(asOfMs: number): void {
    this.#asOfMs = Math.max(this.#asOfMs, asOfMs)
  }

  drop(): void {
    this.#queue.length = 0
    this.#head = 0
    this.#nextInside = -1
    this.#bufferedBytes = 0
  }

  /** Null where there is none: what was there may all have been of other shards. The batch is good until the next one is taken. */
  take(recordsMax: number): RecordBatch | null {
    const rows = this.#rows
    const asOfMs = this.#hasBegun ? this.#asOfMs : -Infinity
    rows.reset(this.#arena)
    this.#used = 0
    this.#sequences = []
    while (!this.isEmpty && rows.count < recordsMax && this.#used < BATCH_BYTES) {
      const record = this.#queue[0]![this.#head]!
      if (this.#nextInside >= 0 || this.#takeApart(record)) this.#takeInside(record, recordsMax)
      else this.#takePlain(record)
    }
    if (rows.count === 0) return null
    rows.arena = this.#arena
    return rows.batch((row) => this.#positionAfter(row, asOfMs))
  }

  /** No record, at the position where it stands. */
  none(): RecordBatch {
    this.#rows.reset(this.#arena)
    return this.#rows.batch(() => encodeKinesisPosition(this.position))
  }

  #positionAfter(row: number, asOfMs: number): string {
    const { offsets, arrivalsMs } = this.#rows
    const sequenceNumber = this.#sequences[row]!
    const index = this.#insideAfter[row]!
    return encodeKinesisPosition({
      createdMs: this.#options.createdMs,
      place: index < 0 ? { kind: 'after', sequenceNumber } : { kind: 'at', sequenceNumber, index },
      offset: offsets[row]! + 1,
      asOfMs: Math.max(asOfMs, arrivalsMs[row]!),
    })
  }

  /** False where it is no aggregate. */
  #takeApart({ sequenceNumber, data }: WireRecord): boolean {
    const { range, foreign } = this.#options
    const aggregate = this.#aggregate
    if (!aggregate.parse(data, range)) return false
    const place = this.#place
    const isResumed = place.kind === 'at' && place.sequenceNumber === sequenceNumber
    this.#nextInside = isResumed ? (place.index ?? 0) : 0
    if (aggregate.foreignCount > 0 && this.#nextInside === 0) foreign(aggregate.foreignCount)
    return true
  }

  #takePlain(record: WireRecord): void {
    const { partitionKey, data } = record
    this.#reserve(SEQUENCE_CHARS_MAX + partitionKey.length * UTF8_BYTES_MAX + data.length)
    const row = this.#addRow(record, -1, [this.#sequenceHeader(record)])
    const { keyStart, keyEnd, valueStart, valueEnd } = this.#rows
    keyStart[row] = this.#used
    this.#writeText(partitionKey)
    keyEnd[row] = this.#used
    valueStart[row] = this.#used
    this.#arena.set(data, this.#used)
    this.#used += data.length
    valueEnd[row] = this.#used
    this.#leave(record)
  }

  #takeInside(record: WireRecord, recordsMax: number): void {
    const { sequenceNumber, data } = record
    const rows = this.#rows
    const aggregate = this.#aggregate
    const { count, isForeign, dataStart, dataEnd, keyIndex, explicitIndex, partitionKeys } = aggregate
    this.#reserve(SEQUENCE_CHARS_MAX + data.length)
    const sequence = this.#sequenceHeader(record)
    const base = this.#used
    this.#arena.set(data, base)
    this.#used += data.length
    let inside = this.#nextInside
    for (; inside < count; inside++) {
      if (isForeign[inside] === 1) continue
      if (rows.count >= recordsMax) break
      const sub = subSequenceHeader(inside)
      const explicit = explicitIndex[inside]!
      const headers = explicit < 0 ? [sequence, sub] : [sequence, sub, this.#explicitHeader(explicit, base)]
      const row = this.#addRow(record, inside + 1, headers)
      const key = keyIndex[inside]!
      rows.keyStart[row] = base + partitionKeys.start[key]!
      rows.keyEnd[row] = base + partitionKeys.end[key]!
      rows.valueStart[row] = base + dataStart[inside]!
      rows.valueEnd[row] = base + dataEnd[inside]!
    }
    if (inside < count) {
      this.#nextInside = inside
      this.#moveTo({ kind: 'at', sequenceNumber, index: inside }, record.arrivalMs)
      return
    }
    const last = rows.count - 1
    if (this.#sequences[last] === sequenceNumber) this.#insideAfter[last] = -1
    this.#nextInside = -1
    this.#leave(record)
  }

  /** A row that has no key and no value yet. */
  #addRow(record: WireRecord, insideAfter: number, headers: readonly Header[]): number {
    const rows = this.#rows
    const row = rows.count
    if (row === rows.offsets.length) rows.grow()
    if (row >= this.#insideAfter.length) this.#insideAfter = longer(this.#insideAfter, rows.offsets.length)
    rows.offsets[row] = this.#offset++
    rows.timestampsMs[row] = record.arrivalMs
    rows.arrivalsMs[row] = record.arrivalMs
    rows.setHeaders(headers)
    this.#sequences.push(record.sequenceNumber)
    this.#insideAfter[row] = insideAfter
    rows.count = row + 1
    return row
  }

  /** The record at the head is done. */
  #leave(record: WireRecord): void {
    this.#bufferedBytes -= bytesOf(record)
    this.#moveTo({ kind: 'after', sequenceNumber: record.sequenceNumber }, record.arrivalMs)
    this.#head++
    if (this.#head < this.#queue[0]!.length) return
    this.#queue.shift()
    this.#head = 0
  }

  #moveTo(place: PositionPlace, arrivalMs: number): void {
    this.#place = place
    this.#asOfMs = this.#hasBegun ? Math.max(this.#asOfMs, arrivalMs) : arrivalMs
    this.#hasBegun = true
  }

  #sequenceHeader({ sequenceNumber }: WireRecord): Header {
    const start = this.#used
    this.#writeText(sequenceNumber)
    return { key: SEQUENCE_HEADER, value: this.#view(start, this.#used) }
  }

  #explicitHeader(index: number, base: number): Header {
    const { start, end } = this.#aggregate.explicitKeys
    return { key: EXPLICIT_KEY_HEADER, value: this.#view(base + start[index]!, base + end[index]!) }
  }

  #view(start: number, end: number): Uint8Array {
    return new Uint8Array(this.#arena.buffer, start, end - start)
  }

  #writeText(text: string): void {
    const arena = this.#arena
    let at = this.#used
    for (let index = 0; index < text.length; index++) {
      const code = text.charCodeAt(index)
      if (code >= 0x80) {
        this.#used += arena.write(text, this.#used, 'utf8')
        return
      }
      arena[at++] = code
    }
    this.#used = at
  }

  /** What has been written stays; the headers look into the arena that was. */
  #reserve(bytes: number): void {
    const needed = this.#used + bytes
    if (needed <= this.#arena.length) return
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#arena.length * 2))
    larger.set(this.#arena.subarray(0, this.#used))
    this.#arena = larger
  }
}

const subSequenceHeaders: Header[] = []
const SUB_SEQUENCE_HEADERS_MAX = 16_384

/** The same for all aggregates. */
function subSequenceHeader(index: number): Header {
  const known = subSequenceHeaders[index]
  if (known !== undefined) return known
  const header = { key: SUB_SEQUENCE_HEADER, value: Buffer.from(String(index), 'latin1') }
  if (index === subSequenceHeaders.length && index < SUB_SEQUENCE_HEADERS_MAX) subSequenceHeaders.push(header)
  return header
}

function bytesOf({ data, partitionKey }: WireRecord): number {
  return RECORD_BYTES + data.length + partitionKey.length
}

function longer(from: Int32Array, length: number): Int32Array<ArrayBuffer> {
  const to = new Int32Array(length)
  to.set(from)
  return to
}
