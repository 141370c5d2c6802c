import type { Header } from '../ports.ts'
import { BATCH_HEAD_BYTES, type BatchHead, checkBatch, corrupt, readBatchHeads } from './batch-head.ts'
import { decompressBatch } from './codec.ts'
import type { RecordRows } from './record-rows.ts'
import type { IsolationLevel } from './requests.ts'
import { visibleBatches, type VisibleBatch } from './visible-batches.ts'

export interface AbortedTransaction {
  readonly producerId: number
  readonly firstOffset: number
}

export interface FetchedRecords {
  /** Whole batches, and perhaps the beginning of one more. */
  readonly bytes: Uint8Array
  /** What was asked for: a batch that begins before it has records that are not. */
  readonly fetchOffset: number
  readonly isolation: IsolationLevel
  /** Of this answer. */
  readonly aborted: readonly AbortedTransaction[]
  /** When the answer came: of records whose timestamp is not the broker's. */
  readonly arrivalMs: number
  /** 'trips-3', for messages. */
  readonly where: string
}

/** Compressed batches are gathered into arenas of about this size: a decoder is faster over one arena than over many. */
const ARENA_BYTES = 1024 * 1024

interface Segment {
  readonly batch: VisibleBatch
  /** Of the records, in the arena. */
  readonly start: number
  readonly end: number
}

/**
 * Reads the records of one partition in one answer to a fetch, straight into the arrays of a RecordBatch. Checksums, decompression and
 * parsing happen when the records are asked for, so that what waits in memory is what came over the wire.
 */
export class RecordCursor {
  readonly #fetched: FetchedRecords
  readonly #batches: readonly VisibleBatch[]
  /** The offset to fetch next. */
  readonly nextOffset: number
  #nextBatch = 0
  #arena: Uint8Array = new Uint8Array(0)
  #segments: readonly Segment[] = []
  #nextSegment = 0
  #at = 0
  #left = 0
  #position: number

  /** Throws KAFKA_BATCH_CORRUPT, KAFKA_FORMAT_TOO_OLD. */
  constructor(fetched: FetchedRecords) {
    const heads = readBatchHeads(fetched.bytes, fetched.where)
    this.#fetched = fetched
    this.#batches = visibleBatches(fetched, heads)
    this.nextOffset = Math.max(fetched.fetchOffset, (heads.at(-1)?.lastOffset ?? -1) + 1)
    this.#position = fetched.fetchOffset
    if (this.isDone) this.#position = this.nextOffset
  }

  get isDone(): boolean {
    return (
      this.#left === 0 &&
      this.#nextSegment === this.#segments.length &&
      this.#nextBatch === this.#batches.length
    )
  }

  /** From where to go on after what has been read: behind records that nobody is to see. */
  get position(): number {
    return this.#position
  }

  /**
   * Fills `rows` with at most `recordsMax` records; none where the rest lies before the fetch offset. Throws KAFKA_BATCH_CORRUPT,
   * KAFKA_BATCH_TOO_LARGE: then nothing of `rows` is to be used.
   */
  read(rows: RecordRows, recordsMax: number): void {
    if (
      this.#left === 0 &&
      this.#nextSegment === this.#segments.length &&
      this.#nextBatch < this.#batches.length
    ) {
      this.#gather()
    }
    rows.reset(this.#arena)
    while (rows.count < recordsMax) {
      if (this.#left === 0) {
        const segment = this.#segments[this.#nextSegment]
        if (segment === undefined) return
        this.#nextSegment++
        this.#at = segment.start
        this.#left = segment.batch.head.count
      }
      const { batch, end } = this.#segments[this.#nextSegment - 1]!
      this.#readRecords(batch.head, end, rows, recordsMax)
      if (this.#left === 0) this.#position = batch.nextOffset
      else this.#position = rows.count === 0 ? this.#position : rows.offsets[rows.count - 1]! + 1
    }
  }

  /** The next batches that fit one arena. Those that are not compressed stay where they are. */
  #gather(): void {
    const { bytes, where } = this.#fetched
    const segments: Segment[] = []
    const isPlain = this.#batches[this.#nextBatch]!.head.compression === 0
    const parts: Uint8Array[] = []
    let size = 0
    for (; this.#nextBatch < this.#batches.length; this.#nextBatch++) {
      const batch = this.#batches[this.#nextBatch]!
      const { head } = batch
      if ((head.compression === 0) !== isPlain) break
      checkBatch(bytes, head, where)
      const from = head.start + BATCH_HEAD_BYTES
      if (isPlain) {
        segments.push({ batch, start: from, end: head.end })
        continue
      }
      const at = `${where}, offset ${head.baseOffset}`
      const part = decompressBatch(head.compression, bytes.subarray(from, head.end), at)
      parts.push(part)
      segments.push({ batch, start: size, end: size + part.length })
      size += part.length
      if (size >= ARENA_BYTES) {
        this.#nextBatch++
        break
      }
    }
    this.#segments = segments
    this.#nextSegment = 0
    this.#arena = isPlain ? bytes : joined(parts, size)
  }

  /**
   * Reads on in one batch.
   *
   *   record = length, attributes (1), timestamp delta, offset delta, key length, key, value length, value, header count, header*
   *   header = key length, key, value length, value
   *
   * Lengths and deltas are zigzag varints; a length of -1 is null.
   */
  #readRecords(head: BatchHead, segmentEnd: number, rows: RecordRows, recordsMax: number): void {
    const { fetchOffset, arrivalMs, where } = this.#fetched
    const { baseOffset, baseTimestampMs, maxTimestampMs, isLogAppendTime } = head
    const arena = this.#arena
    let at = this.#at
    let left = this.#left
    while (left > 0 && rows.count < recordsMax) {
      const length = readVarint(arena, at)
      at = varintEnd
      const recordEnd = at + length
      // Written so that NaN, from a byte past the end, is caught too.
      if (!(length > 0 && recordEnd <= segmentEnd)) throw corrupt(where, baseOffset, 'a record ends after it')
      const timestampDelta = readVarint(arena, at + 1)
      const offset = baseOffset + readVarint(arena, varintEnd)
      const keyBytes = readVarint(arena, varintEnd)
      const keyStart = varintEnd
      const keyEnd = keyBytes < 0 ? keyStart : keyStart + keyBytes
      const valueBytes = readVarint(arena, keyEnd)
      const valueStart = varintEnd
      const valueEnd = valueBytes < 0 ? valueStart : valueStart + valueBytes
      const headerCount = readVarint(arena, valueEnd)
      if (!(valueEnd < recordEnd && keyEnd <= valueStart)) {
        throw corrupt(where, baseOffset, 'a key or value ends after its record')
      }
      left--
      const headersAt = varintEnd
      at = recordEnd
      if (offset < fetchOffset) continue
      const row = rows.count
      if (row === rows.offsets.length) rows.grow()
      rows.keyStart[row] = keyStart
      rows.keyEnd[row] = keyBytes < 0 ? -1 : keyEnd
      rows.valueStart[row] = valueStart
      rows.valueEnd[row] = valueBytes < 0 ? -1 : valueEnd
      rows.offsets[row] = offset
      rows.timestampsMs[row] = isLogAppendTime ? maxTimestampMs : baseTimestampMs + timestampDelta
      rows.arrivalsMs[row] = isLogAppendTime ? maxTimestampMs : arrivalMs
      if (headerCount > 0) {
        const headers = readHeaders(arena, headersAt, headerCount, recordEnd)
        if (headers === null) throw corrupt(where, baseOffset, 'a header ends after its record')
        rows.setHeaders(headers)
      } else if (rows.headers !== null) rows.headers[row] = null
      rows.count = row + 1
    }
    this.#at = at
    this.#left = left
  }
}

/** Null where they do not fit. */
function readHeaders(arena: Uint8Array, start: number, count: number, end: number): Header[] | null {
  const headers: Header[] = []
  let at = start
  for (let index = 0; index < count; index++) {
    const keyBytes = readVarint(arena, at)
    const keyStart = varintEnd
    const keyEnd = keyStart + keyBytes
    const valueBytes = readVarint(arena, keyEnd)
    const valueStart = varintEnd
    at = valueBytes < 0 ? valueStart : valueStart + valueBytes
    if (!(keyBytes >= 0 && keyEnd <= valueStart && at <= end)) return null
    const key = Buffer.from(arena.buffer, arena.byteOffset + keyStart, keyBytes).toString('utf8')
    headers.push({ key, value: valueBytes < 0 ? null : arena.subarray(valueStart, at) })
  }
  return headers
}

/** Behind the varint that was read last: a second result without an object. */
let varintEnd = 0

/** A zigzag varint of at most ten bytes. NaN past the end. */
function readVarint(bytes: Uint8Array, start: number): number {
  const first = bytes[start]!
  if (first < 0x80) {
    varintEnd = start + 1
    return (first >>> 1) ^ -(first & 1)
  }
  const second = bytes[start + 1]!
  if (second < 0x80) {
    varintEnd = start + 2
    const value = (first & 0x7f) | (second << 7)
    return (value >>> 1) ^ -(value & 1)
  }
  return readLongVarint(bytes, start)
}

function readLongVarint(bytes: Uint8Array, start: number): number {
  let value = 0
  let factor = 1
  for (let index = 0; index < 10; index++) {
    const byte = bytes[start + index]
    if (byte === undefined) break
    value += (byte & 0x7f) * factor
    if (byte < 0x80) {
      varintEnd = start + index + 1
      // Halves of even and odd numbers, without the 32 bits of the operators.
      return value % 2 === 0 ? value / 2 : -(value + 1) / 2
    }
    factor *= 128
  }
  varintEnd = start
  return Number.NaN
}

function joined(parts: readonly Uint8Array[], size: number): Uint8Array {
  // Always a plain Uint8Array: a decoder that sees Buffers too is slower.
  if (parts.length === 1) return new Uint8Array(parts[0]!.buffer, parts[0]!.byteOffset, size)
  const arena = new Uint8Array(size)
  let at = 0
  for (const part of parts) {
    arena.set(part, at)
    at += part.length
  }
  return arena
}
