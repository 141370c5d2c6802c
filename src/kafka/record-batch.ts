import { gzipSync } from 'node:zlib'
import { crc32c } from './crc32c.ts'
import { WireWriter } from './wire.ts'

/** A record to be sent. */
export interface OutRecord {
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly headers: readonly { readonly key: string; readonly value: Uint8Array | null }[]
}

/** Whose the records are, for the broker: by it a batch that is sent twice is stored once. */
export interface BatchProducer {
  readonly producerId: number
  readonly producerEpoch: number
  /** Of the first record; counts up within the partition. */
  readonly baseSequence: number
}

/** What a batch takes beside its records. */
export const BATCH_OVERHEAD_BYTES = 61
const VARINT_BYTES_MAX = 5
/** Length, attributes, the deltas of time and offset, the lengths of key and value, the number of headers: at their longest. */
export const RECORD_OVERHEAD_BYTES = 5 + 1 + 10 + 5 + 5 + 5 + 5
const HEADER_OVERHEAD_BYTES = 10

const TRANSACTIONAL = 0x10
const GZIP = 1
const COPY_BYTES_MIN = 64

export interface BatchOptions {
  readonly isTransactional: boolean
  readonly compression: 'none' | 'gzip'
}

/** At least what a record takes in a batch. */
export function recordBytesMax({ key, value, headers }: OutRecord): number {
  let bytes = RECORD_OVERHEAD_BYTES + (key?.length ?? 0) + (value?.length ?? 0)
  for (const header of headers) {
    bytes += HEADER_OVERHEAD_BYTES + 3 * header.key.length + (header.value?.length ?? 0)
  }
  return bytes
}

/**
 * A record batch of a transaction, not compressed. All records have the same timestamp.
 */
export function encodeTransactionalBatch(
  records: readonly OutRecord[],
  producer: BatchProducer,
  timestampMs: number,
): Buffer {
  const timestamps = records.map(() => timestampMs)
  return encodeBatch(records, timestamps, producer, { isTransactional: true, compression: 'none' })
}

/** A record batch (kafka.apache.org/documentation/#recordbatch, magic 2). Record i has the timestamp `timestampsMs[i]`. */
export function encodeBatch(
  records: readonly OutRecord[],
  timestampsMs: readonly number[],
  producer: BatchProducer,
  { isTransactional, compression }: BatchOptions,
): Buffer {
  const baseTimestampMs = timestampsMs[0]!
  const body = new RecordsWriter(records.reduce((bytes, record) => bytes + recordBytesMax(record), 0))
  for (const [index, record] of records.entries()) {
    body.record(record, index, timestampsMs[index]! - baseTimestampMs)
  }
  const out = new WireWriter()
  out
    .int64(0) // base offset: the broker's business
    .int32(0) // length, below
    .int32(-1) // leader epoch
    .int8(2) // magic
    .int32(0) // checksum, below
    .int16((isTransactional ? TRANSACTIONAL : 0) | (compression === 'gzip' ? GZIP : 0))
    .int32(records.length - 1)
    .int64(baseTimestampMs)
    .int64(timestampsMs.reduce((most, timeMs) => Math.max(most, timeMs)))
    .int64(producer.producerId)
    .int16(producer.producerEpoch)
    .int32(producer.baseSequence)
    .int32(records.length)
    .raw(compression === 'gzip' ? gzipSync(body.finish()) : body.finish())
  const batch = out.finish()
  batch.writeInt32BE(batch.length - LENGTH_END, LENGTH_END - 4)
  batch.writeUInt32BE(crc32c(batch, CHECKSUM_END), CHECKSUM_END - 4)
  return batch
}

const LENGTH_END = 12
const CHECKSUM_END = 21

/** Writes the records of a batch, one behind the other, into a buffer that has room for all of them. */
class RecordsWriter {
  readonly #buffer: Buffer
  #at = 0

  constructor(bytesMax: number) {
    this.#buffer = Buffer.allocUnsafe(bytesMax)
  }

  record({ key, value, headers }: OutRecord, index: number, timestampDeltaMs: number): void {
    const start = this.#at
    // The length comes first and is known last: the record moves up to it.
    this.#at = start + VARINT_BYTES_MAX
    this.#buffer[this.#at++] = 0 // no attributes
    this.#zigzag64(timestampDeltaMs)
    this.#zigzag(index)
    this.#bytes(key)
    this.#bytes(value)
    this.#zigzag(headers.length)
    for (const header of headers) {
      this.#text(header.key)
      this.#bytes(header.value)
    }
    const from = start + VARINT_BYTES_MAX
    const end = this.#at
    this.#at = start
    this.#zigzag(end - from)
    this.#buffer.copyWithin(this.#at, from, end)
    this.#at += end - from
  }

  finish(): Buffer {
    return this.#buffer.subarray(0, this.#at)
  }

  #bytes(bytes: Uint8Array | null): void {
    this.#zigzag(bytes === null ? -1 : bytes.length)
    if (bytes === null) return
    if (bytes.length > COPY_BYTES_MIN) this.#buffer.set(bytes, this.#at)
    // A call costs more than a few bytes one by one.
    else for (let i = 0; i < bytes.length; i++) this.#buffer[this.#at + i] = bytes[i]!
    this.#at += bytes.length
  }

  /** Header keys are mostly short and plain ASCII. */
  #text(text: string): void {
    const start = this.#at
    this.#zigzag(text.length)
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i)
      if (unit > 0x7f) {
        this.#at = start
        this.#bytes(Buffer.from(text))
        return
      }
      this.#buffer[this.#at++] = unit
    }
  }

  /** An int32 as a zig-zag varint. */
  #zigzag(value: number): void {
    let rest = ((value << 1) ^ (value >> 31)) >>> 0
    for (; rest > 0x7f; rest >>>= 7) this.#buffer[this.#at++] = (rest & 0x7f) | 0x80
    this.#buffer[this.#at++] = rest
  }

  /** As a zig-zag varint of up to ten bytes: the records of a batch may be years apart. */
  #zigzag64(value: number): void {
    if (value === (value | 0)) {
      this.#zigzag(value)
      return
    }
    let rest = BigInt.asUintN(64, (BigInt(value) << 1n) ^ (BigInt(value) >> 63n))
    for (; rest > 0x7fn; rest >>= 7n) this.#buffer[this.#at++] = Number(rest & 0x7fn) | 0x80
    this.#buffer[this.#at++] = Number(rest)
  }
}
