import { PipelineError } from '../errors.ts'
import { crc32c } from './crc32c.ts'

/**
 * The head of a record batch, message format v2 (kafka.apache.org/documentation, "Record Batch"):
 *
 *    0 base offset (8)     8 length from here + 4 (4)   12 leader epoch (4)    16 magic (1)         17 CRC-32C of the rest (4)
 *   21 attributes (2)     23 last offset delta (4)      27 base timestamp (8)  35 max timestamp (8)
 *   43 producer id (8)    51 producer epoch (2)         53 base sequence (4)   57 record count (4)  61 records
 *
 * Attributes: bits 0 to 2 compression, 3 the broker's time, 4 transactional, 5 control.
 */
export interface BatchHead {
  /** Of the batch, in the bytes it was found in. */
  readonly start: number
  readonly end: number
  readonly baseOffset: number
  /** Of the batch as it was written: compaction keeps it where the last record is gone. */
  readonly lastOffset: number
  readonly compression: number
  /** The broker's time stands for the time of every record. */
  readonly isLogAppendTime: boolean
  readonly isTransactional: boolean
  /** Not records but the end of a transaction. */
  readonly isControl: boolean
  readonly baseTimestampMs: number
  readonly maxTimestampMs: number
  readonly producerId: number
  readonly count: number
}

export const BATCH_HEAD_BYTES = 61
const LENGTH_FROM = 12
const CRC_AT = 17
const CRC_FROM = 21
const MAGIC_AT = 16

/**
 * The heads of the whole batches in `bytes`, in order: a broker cuts the last one off where its limit is reached. Throws
 * KAFKA_FORMAT_TOO_OLD and KAFKA_BATCH_CORRUPT. `where` is for the message.
 */
export function readBatchHeads(bytes: Uint8Array, where: string): BatchHead[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const heads: BatchHead[] = []
  let at = 0
  while (at + MAGIC_AT < bytes.length) {
    const magic = bytes[at + MAGIC_AT]!
    if (magic < 2) {
      throw new PipelineError('KAFKA_FORMAT_TOO_OLD', `${where}: records of message format ${magic}`, {
        advice:
          'They were written before Kafka 0.11, or under log.message.format.version below 0.11. Copy the topic with a tool of Kafka’s own, or start behind them.',
      })
    }
    const length = view.getInt32(at + 8)
    const end = at + LENGTH_FROM + length
    if (magic > 2 || length < BATCH_HEAD_BYTES - LENGTH_FROM) {
      throw corrupt(where, int64(view, at), `magic ${magic}, ${length} bytes`)
    }
    if (end > bytes.length) break
    const attributes = view.getInt16(at + 21)
    const baseOffset = int64(view, at)
    heads.push({
      start: at,
      end,
      baseOffset,
      lastOffset: baseOffset + view.getInt32(at + 23),
      compression: attributes & 7,
      isLogAppendTime: (attributes & 0x08) !== 0,
      isTransactional: (attributes & 0x10) !== 0,
      isControl: (attributes & 0x20) !== 0,
      baseTimestampMs: int64(view, at + 27),
      maxTimestampMs: int64(view, at + 35),
      producerId: int64(view, at + 43),
      count: view.getInt32(at + 57),
    })
    at = end
  }
  return heads
}

/** Throws KAFKA_BATCH_CORRUPT where the checksum is wrong. */
export function checkBatch(bytes: Uint8Array, head: BatchHead, where: string): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (view.getUint32(head.start + CRC_AT) !== crc32c(bytes.subarray(head.start + CRC_FROM, head.end))) {
    throw corrupt(where, head.baseOffset, 'its checksum is wrong')
  }
}

export function corrupt(where: string, baseOffset: number, what: string): PipelineError {
  return new PipelineError(
    'KAFKA_BATCH_CORRUPT',
    `${where}: the batch at offset ${baseOffset} is broken: ${what}`,
    {
      advice:
        'It came twice like this, so it is broken on the broker’s disk. Let the partition’s leader move to a replica that is whole, or delete the records up to there and run with --accept-loss.',
    },
  )
}

const TWO_POW_32 = 0x1_0000_0000

function int64(view: DataView, at: number): number {
  return view.getInt32(at) * TWO_POW_32 + view.getUint32(at + 4)
}
