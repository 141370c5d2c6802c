import { gzipSync } from 'node:zlib'
import { crc32c } from '../../src/kafka/crc32c.ts'

/** A record batch as a broker keeps it, written from the specification and not with the encoder of src/kafka. */
export interface TestRecord {
  /** Default: the number of the record in its batch. */
  readonly delta?: number
  readonly timestampDelta?: number
  readonly key?: string | null
  readonly value?: string | null
  readonly headers?: readonly (readonly [string, string | null])[]
}

export interface TestBatch {
  readonly baseOffset: number
  readonly records: readonly TestRecord[]
  /** Default: of the last record. */
  readonly lastDelta?: number
  readonly baseTimestampMs?: number
  readonly maxTimestampMs?: number
  readonly codec?: 'none' | 'gzip'
  readonly isLogAppendTime?: boolean
  readonly producerId?: number
  readonly isTransactional?: boolean
  readonly isControl?: boolean
  readonly magic?: number
}

export function batchBytes(batch: TestBatch): Uint8Array {
  const { records, codec = 'none', producerId = -1, baseTimestampMs = 1_000, magic = 2 } = batch
  const plain = Buffer.concat(records.map(recordBytes))
  const body = codec === 'gzip' ? gzipSync(plain) : plain
  const bytes = Buffer.alloc(61 + body.length)
  bytes.writeBigInt64BE(BigInt(batch.baseOffset), 0)
  bytes.writeInt32BE(bytes.length - 12, 8)
  bytes.writeInt32BE(7, 12)
  bytes.writeInt8(magic, 16)
  const attributes =
    (codec === 'gzip' ? 1 : 0) |
    (batch.isLogAppendTime === true ? 8 : 0) |
    (batch.isTransactional === true ? 16 : 0) |
    (batch.isControl === true ? 32 : 0)
  bytes.writeInt16BE(attributes, 21)
  bytes.writeInt32BE(batch.lastDelta ?? records.at(-1)?.delta ?? records.length - 1, 23)
  bytes.writeBigInt64BE(BigInt(baseTimestampMs), 27)
  bytes.writeBigInt64BE(BigInt(batch.maxTimestampMs ?? baseTimestampMs), 35)
  bytes.writeBigInt64BE(BigInt(producerId), 43)
  bytes.writeInt16BE(0, 51)
  bytes.writeInt32BE(0, 53)
  bytes.writeInt32BE(records.length, 57)
  bytes.set(body, 61)
  return resealed(bytes)
}

/** With the checksum that its bytes have now. */
export function resealed(bytes: Uint8Array): Uint8Array {
  const copy = Buffer.from(bytes)
  copy.writeUInt32BE(crc32c(copy.subarray(21)), 17)
  return new Uint8Array(copy)
}

/** The end of a transaction. */
export function markerBytes(baseOffset: number, producerId: number, type: 'commit' | 'abort'): Uint8Array {
  const key = `\0\0\0${type === 'abort' ? '\0' : '\u0001'}`
  return batchBytes({
    baseOffset,
    producerId,
    isTransactional: true,
    isControl: true,
    records: [{ key, value: '' }],
  })
}

export function joined(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts))
}

function recordBytes(record: TestRecord, index: number): Buffer {
  const { delta = index, timestampDelta = 0, key = null, value = null, headers = [] } = record
  const body = Buffer.concat([
    Buffer.of(0),
    zigzag(timestampDelta),
    zigzag(delta),
    field(key),
    field(value),
    zigzag(headers.length),
    ...headers.flatMap(([name, content]) => [field(name), field(content)]),
  ])
  return Buffer.concat([zigzag(body.length), body])
}

function field(text: string | null): Buffer {
  if (text === null) return zigzag(-1)
  const bytes = Buffer.from(text)
  return Buffer.concat([zigzag(bytes.length), bytes])
}

function zigzag(value: number): Buffer {
  let rest = value < 0 ? -2n * BigInt(value) - 1n : 2n * BigInt(value)
  const bytes: number[] = []
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80)
  return Buffer.from([...bytes, Number(rest)])
}
