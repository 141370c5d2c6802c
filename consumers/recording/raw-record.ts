import type { Header } from '../../src/ports.ts'
import { VarintReader } from './varint.ts'

/** A record as a broker would hand it over. */
export interface RawRecord {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly timestampMs: number
  readonly arrivalMs: number
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly headers: readonly Header[]
}

/** Broker timestamps are milliseconds that a Date can hold. */
export const TIMESTAMP_MS_MAX = 8.64e15

const TEXT = new TextDecoder()

/**
 * Walks over the raw records in the decompressed bytes of a block, without copying. After `next()` the public
 * fields describe the record; a null key or value has an end of -1.
 */
export class RawRecordCursor {
  topicStart = 0
  topicEnd = 0
  partition = 0
  offset = 0
  timestampMs = 0
  arrivalMs = 0
  keyStart = 0
  keyEnd = 0
  valueStart = 0
  valueEnd = 0
  headers: readonly Header[] | null = null

  readonly #bytes: Uint8Array
  readonly #reader: VarintReader

  constructor(bytes: Uint8Array, start: number, end: number) {
    this.#bytes = bytes
    this.#reader = new VarintReader(bytes, start, end)
  }

  /** Where the next record starts. */
  get at(): number {
    return this.#reader.at
  }

  /** What is wrong with the record at `at`, or null: then the fields hold it and `at` is behind it. */
  next(): string | null {
    const reader = this.#reader
    const topicLength = reader.long()
    this.topicStart = reader.at
    if (!this.#skip(topicLength)) return 'the topic does not fit into the block'
    this.topicEnd = reader.at
    this.partition = reader.long()
    this.offset = reader.long()
    this.timestampMs = reader.long()
    this.arrivalMs = reader.long()
    if (!reader.ok) return 'a number of the record is broken'
    if (this.partition < 0 || this.partition > 0x7fff_ffff) return `the partition is ${this.partition}`
    if (this.offset < 0) return `the offset is ${this.offset}`
    if (!isTime(this.timestampMs)) return `the timestamp is ${this.timestampMs}`
    if (!isTime(this.arrivalMs)) return `the arrival time is ${this.arrivalMs}`

    let length = this.#optionalLength()
    this.keyStart = reader.at
    if (length > 0 && !this.#skip(length)) return 'the key does not fit into the block'
    this.keyEnd = length < 0 ? -1 : reader.at

    length = this.#optionalLength()
    this.valueStart = reader.at
    if (length > 0 && !this.#skip(length)) return 'the value does not fit into the block'
    this.valueEnd = length < 0 ? -1 : reader.at

    const headerCount = reader.long()
    this.headers = headerCount === 0 ? null : this.#readHeaders(headerCount)
    return reader.ok ? null : 'a length of the record is broken'
  }

  /** Copies the record out. */
  record(): RawRecord {
    const bytes = this.#bytes
    return {
      topic: this.topic(),
      partition: this.partition,
      offset: this.offset,
      timestampMs: this.timestampMs,
      arrivalMs: this.arrivalMs,
      key: this.keyEnd < 0 ? null : bytes.slice(this.keyStart, this.keyEnd),
      value: this.valueEnd < 0 ? null : bytes.slice(this.valueStart, this.valueEnd),
      headers: this.headers ?? [],
    }
  }

  topic(): string {
    return TEXT.decode(this.#bytes.subarray(this.topicStart, this.topicEnd))
  }

  #skip(length: number): boolean {
    const reader = this.#reader
    if (!reader.ok || length < 0 || length > reader.end - reader.at) {
      reader.ok = false
      return false
    }
    reader.at += length
    return true
  }

  /** The length of ["null","bytes"]; -1 for null. */
  #optionalLength(): number {
    const branch = this.#reader.long()
    if (branch === 0) return -1
    const length = this.#reader.long()
    if (branch !== 1 || length < 0) this.#reader.ok = false
    return length
  }

  /** The blocks of an Avro array; a negative count is followed by the size of the block in bytes. */
  #readHeaders(firstCount: number): readonly Header[] {
    const reader = this.#reader
    const headers: Header[] = []
    for (let count = firstCount; count !== 0 && reader.ok; count = reader.long()) {
      if (count < 0) reader.long()
      for (let left = Math.abs(count); left > 0 && reader.ok; left -= 1) headers.push(this.#readHeader())
    }
    return headers
  }

  #readHeader(): Header {
    const reader = this.#reader
    const keyLength = reader.long()
    const keyStart = reader.at
    this.#skip(keyLength)
    const key = TEXT.decode(this.#bytes.subarray(keyStart, reader.at))
    const valueLength = this.#optionalLength()
    const valueStart = reader.at
    if (valueLength > 0) this.#skip(valueLength)
    // A copy, because headers are rare and outlive the arena in dead letters.
    return { key, value: valueLength < 0 ? null : this.#bytes.slice(valueStart, reader.at) }
  }
}

function isTime(valueMs: number): boolean {
  return valueMs >= -TIMESTAMP_MS_MAX && valueMs <= TIMESTAMP_MS_MAX
}
