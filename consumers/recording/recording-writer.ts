import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs'
import { assert, PipelineError } from '../../src/errors.ts'
import { type Codec, compress, isAvailable } from './codec.ts'
import { RECORDING_SCHEMA_JSON, SYNC_MARKER } from './recording-schema.ts'
import {
  encodeSummary,
  framedSchema,
  type RecordingSummary,
  SUMMARY_KEY,
  SummaryBuilder,
} from './recording-summary.ts'
import { type RawRecord, TIMESTAMP_MS_MAX } from './raw-record.ts'
import { writeLong } from './varint.ts'

export interface RecordingWriterOptions {
  /** Default 'deflate', which every Avro library reads. */
  readonly codec?: Codec
  /** A block is written when its records take so many bytes before the codec. Default 256 KiB. */
  readonly blockBytes?: number
}

export interface RecordingWriter {
  /** Offsets ascend within a partition; records of different partitions come in any order. */
  append(record: RawRecord): void
  /** Notes that the records of these partitions come before all of this one's, key by key: that it is a shard which was split or merged from them. */
  follow(topic: string, partition: number, parents: readonly number[]): void
  /** Finishes the file and gives it its name. Until then there is no file of that name, or the old one. */
  close(): RecordingSummary
  /** Removes what was written. */
  abort(): void
}

const BLOCK_BYTES = 256 * 1024
/** All that a record takes beside its topic, key, value and headers. */
const RECORD_OVERHEAD_BYTES = 90

/**
 * Writes a recording: synchronous, one block in memory. The same records make the same bytes.
 * Throws RECORDING_UNWRITABLE.
 */
export function createRecordingWriter(path: string, options: RecordingWriterOptions = {}): RecordingWriter {
  const codec = options.codec ?? 'deflate'
  assert(isAvailable(codec), `this Node has no codec ${codec}`)
  return new FileWriter(path, codec, options.blockBytes ?? BLOCK_BYTES)
}

class FileWriter implements RecordingWriter {
  readonly #path: string
  readonly #temporaryPath: string
  readonly #codec: Codec
  readonly #blockBytes: number
  readonly #file: number
  readonly #summary = new SummaryBuilder()
  readonly #summaryPosition: number
  readonly #text = new TextEncoder()
  #lastTopic = ''
  #lastTopicBytes = new Uint8Array(0)
  #block: Uint8Array
  #used = 0
  #count = 0
  #written = 0
  #open = true

  constructor(path: string, codec: Codec, blockBytes: number) {
    this.#path = path
    this.#temporaryPath = `${path}.tmp`
    this.#codec = codec
    this.#blockBytes = blockBytes
    this.#block = new Uint8Array(blockBytes + 4096)
    const { bytes, summaryPosition } = encodeHeader(codec)
    this.#summaryPosition = summaryPosition
    try {
      this.#file = openSync(this.#temporaryPath, 'w')
    } catch (cause) {
      throw unwritable(path, cause)
    }
    this.#write(bytes)
  }

  append(record: RawRecord): void {
    assert(this.#open, 'the recording is closed')
    const { topic, partition, offset, timestampMs, arrivalMs, key, value, headers } = record
    assert(Number.isInteger(partition) && partition >= 0, `partition ${partition} is not a number from 0`)
    const last = this.#summary.lastOffset(topic, partition)
    assert(
      Number.isSafeInteger(offset) && offset > last,
      `offset ${offset} of ${topic}/${partition} does not come after ${last}`,
    )
    for (const timeMs of [timestampMs, arrivalMs]) {
      assert(
        Number.isInteger(timeMs) && Math.abs(timeMs) <= TIMESTAMP_MS_MAX,
        `time ${timeMs} is not milliseconds`,
      )
    }
    const topicBytes = this.#topicBytes(topic)
    const headerPairs = headers.map((header) => ({
      key: this.#text.encode(header.key),
      value: header.value,
    }))
    let size = RECORD_OVERHEAD_BYTES + topicBytes.length + (key?.length ?? 0) + (value?.length ?? 0)
    for (const header of headerPairs) size += 30 + header.key.length + (header.value?.length ?? 0)
    this.#reserve(size)

    this.#putBytes(topicBytes)
    for (const number of [partition, offset, timestampMs, arrivalMs]) this.#putLong(number)
    this.#putOptional(key)
    this.#putOptional(value)
    if (headerPairs.length > 0) this.#putLong(headerPairs.length)
    for (const header of headerPairs) {
      this.#putBytes(header.key)
      this.#putOptional(header.value)
    }
    this.#putLong(0)

    this.#count += 1
    this.#summary.add(topic, partition, offset, arrivalMs, framedSchema(value))
    if (this.#used >= this.#blockBytes) this.#flush()
  }

  follow(topic: string, partition: number, parents: readonly number[]): void {
    this.#summary.follow(topic, partition, parents)
  }

  close(): RecordingSummary {
    assert(this.#open, 'the recording is closed')
    this.#flush()
    const summary = this.#summary.summary(this.#written)
    this.#write(encodeSummary(summary), this.#summaryPosition)
    this.#open = false
    try {
      fsyncSync(this.#file)
      closeSync(this.#file)
      renameSync(this.#temporaryPath, this.#path)
    } catch (cause) {
      throw unwritable(this.#path, cause)
    }
    return summary
  }

  abort(): void {
    if (!this.#open) return
    this.#open = false
    closeSync(this.#file)
    rmSync(this.#temporaryPath, { force: true })
  }

  #flush(): void {
    if (this.#count === 0) return
    const body = compress(this.#codec, this.#block.subarray(0, this.#used))
    const prefix = new Uint8Array(20)
    const prefixBytes = writeLong(prefix, writeLong(prefix, 0, this.#count), body.length)
    this.#write(prefix.subarray(0, prefixBytes))
    this.#write(body)
    this.#write(SYNC_MARKER)
    this.#used = 0
    this.#count = 0
  }

  #write(bytes: Uint8Array, position: number | null = null): void {
    try {
      for (let done = 0; done < bytes.length; ) {
        const at = position === null ? null : position + done
        done += writeSync(this.#file, bytes, done, bytes.length - done, at)
      }
    } catch (cause) {
      throw unwritable(this.#path, cause)
    }
    if (position === null) this.#written += bytes.length
  }

  /** Records of one topic mostly follow each other. */
  #topicBytes(topic: string): Uint8Array {
    if (topic !== this.#lastTopic) {
      this.#lastTopic = topic
      this.#lastTopicBytes = this.#text.encode(topic)
    }
    return this.#lastTopicBytes
  }

  #reserve(bytes: number): void {
    if (this.#used + bytes <= this.#block.length) return
    const larger = new Uint8Array(Math.max(this.#used + bytes, this.#block.length * 2))
    larger.set(this.#block.subarray(0, this.#used))
    this.#block = larger
  }

  #putLong(value: number): void {
    this.#used = writeLong(this.#block, this.#used, value)
  }

  #putBytes(bytes: Uint8Array): void {
    this.#putLong(bytes.length)
    this.#block.set(bytes, this.#used)
    this.#used += bytes.length
  }

  /** ["null","bytes"] */
  #putOptional(bytes: Uint8Array | null): void {
    this.#putLong(bytes === null ? 0 : 1)
    if (bytes !== null) this.#putBytes(bytes)
  }
}

function encodeHeader(codec: Codec): { bytes: Uint8Array; summaryPosition: number } {
  const text = new TextEncoder()
  const entries: readonly (readonly [string, Uint8Array])[] = [
    ['avro.schema', text.encode(RECORDING_SCHEMA_JSON)],
    ['avro.codec', text.encode(codec)],
    [SUMMARY_KEY, encodeSummary(null)],
  ]
  const bytes = new Uint8Array(encodeSummary(null).length + RECORDING_SCHEMA_JSON.length + 1024)
  bytes.set([0x4f, 0x62, 0x6a, 0x01])
  let at = writeLong(bytes, 4, entries.length)
  const put = (value: Uint8Array) => {
    at = writeLong(bytes, at, value.length)
    bytes.set(value, at)
    at += value.length
  }
  for (const [key, value] of entries) {
    put(text.encode(key))
    put(value)
  }
  const summaryPosition = at - encodeSummary(null).length
  at = writeLong(bytes, at, 0)
  bytes.set(SYNC_MARKER, at)
  return { bytes: bytes.slice(0, at + SYNC_MARKER.length), summaryPosition }
}

function unwritable(path: string, cause: unknown): PipelineError {
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new PipelineError('RECORDING_UNWRITABLE', `${path}: the recording cannot be written: ${reason}`, {
    cause,
    advice: 'Check that the folder exists and is writable, and that the disk has room.',
  })
}
