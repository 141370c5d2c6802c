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
/** Length, attributes, two deltas, the lengths of key and value, the number of headers: at their longest. */
const RECORD_OVERHEAD_BYTES = 5 + 1 + 1 + 5 + 5 + 5 + 5
const HEADER_OVERHEAD_BYTES = 10

const TRANSACTIONAL = 0x10
const GZIP = 1

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
  const body = new WireWriter()
  for (const [index, record] of records.entries()) {
    const bytes = encodeRecord(record, index, timestampsMs[index]! - baseTimestampMs)
    zigzag(body, bytes.length).raw(bytes)
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

function encodeRecord({ key, value, headers }: OutRecord, index: number, timestampDeltaMs: number): Buffer {
  const out = new WireWriter()
  zigzag64(out.int8(0), timestampDeltaMs) // no attributes
  zigzag(out, index)
  bytesOrNull(out, key)
  bytesOrNull(out, value)
  zigzag(out, headers.length)
  for (const header of headers) {
    bytesOrNull(out, Buffer.from(header.key))
    bytesOrNull(out, header.value)
  }
  return out.finish()
}

function bytesOrNull(out: WireWriter, bytes: Uint8Array | null): void {
  if (bytes === null) zigzag(out, -1)
  else zigzag(out, bytes.length).raw(bytes)
}

/** An int32 as a zig-zag varint. */
function zigzag(out: WireWriter, value: number): WireWriter {
  return out.unsignedVarint(((value << 1) ^ (value >> 31)) >>> 0)
}

/** As a zig-zag varint of up to ten bytes: the records of a batch may be years apart. */
function zigzag64(out: WireWriter, value: number): WireWriter {
  if (value === (value | 0)) return zigzag(out, value)
  let rest = BigInt.asUintN(64, (BigInt(value) << 1n) ^ (BigInt(value) >> 63n))
  for (; rest > 0x7fn; rest >>= 7n) out.uint8(Number(rest & 0x7fn) | 0x80)
  return out.uint8(Number(rest))
}
