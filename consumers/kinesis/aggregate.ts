import { createHash } from 'node:crypto'
import { decimalKey, type HashRange, isInRange } from './hash-range.ts'
import { ShortMd5 } from './md5.ts'

const MAGIC_BYTES = 4
const DIGEST_BYTES = 16
const ROWS_MIN = 64

const VARINT = 0
const FIXED_64 = 1
const LENGTH = 2
const FIXED_32 = 5

/**
 * The records in an aggregate of the Kinesis Producer Library: `F3 89 9A C2`, a protobuf message, its MD5. They are looked at where they lie: all places
 * are in the bytes that were parsed. Used again for the next one.
 *
 *     message AggregatedRecord { repeated string partition_key_table = 1; repeated string explicit_hash_key_table = 2; repeated Record records = 3; }
 *     message Record { required uint64 partition_key_index = 1; optional uint64 explicit_hash_key_index = 2; required bytes data = 3; repeated Tag tags = 4; }
 *
 * Source: aggregation-format.md of awslabs/amazon-kinesis-producer.
 */
export class Aggregate {
  /** Of the records in it. */
  count = 0
  /** Of each record's data, in the bytes. */
  dataStart = new Int32Array(ROWS_MIN)
  dataEnd = new Int32Array(ROWS_MIN)
  /** In `partitionKeys`. */
  keyIndex = new Int32Array(ROWS_MIN)
  /** In `explicitKeys`; -1 for none. */
  explicitIndex = new Int32Array(ROWS_MIN)
  readonly partitionKeys = new Places()
  readonly explicitKeys = new Places()
  /** By record: 1 where its hash key is not of the shard. */
  isForeign = new Uint8Array(ROWS_MIN)
  foreignCount = 0
  readonly #md5 = new ShortMd5()
  #bytes: Uint8Array = new Uint8Array(0)
  #at = 0
  #end = 0
  #isBroken = false

  /** False where the bytes are no aggregate: no magic, another MD5, a broken message. They are a record as they stand then. A null range has every key. */
  parse(bytes: Uint8Array, range: HashRange | null): boolean {
    const end = bytes.length - DIGEST_BYTES
    if (end < MAGIC_BYTES || !hasMagic(bytes)) return false
    const digest = createHash('md5').update(bytes.subarray(MAGIC_BYTES, end)).digest()
    if (digest.compare(bytes, end) !== 0) return false
    this.#bytes = bytes
    this.#at = MAGIC_BYTES
    this.#end = end
    this.#isBroken = false
    this.count = 0
    this.partitionKeys.count = 0
    this.explicitKeys.count = 0
    while (this.#at < this.#end && !this.#isBroken) this.#readField()
    return !this.#isBroken && this.#hasItsKeys() && this.#judge(range)
  }

  #readField(): void {
    const tag = this.#varint()
    const field = tag >>> 3
    if (field < 1 || field > 3) return this.#skip(tag)
    const end = this.#lengthEnd(tag)
    if (end < 0) return
    if (field === 1) this.partitionKeys.push(this.#at, end)
    else if (field === 2) this.explicitKeys.push(this.#at, end)
    else return this.#readRecord(end)
    this.#at = end
  }

  #readRecord(end: number): void {
    const row = this.count
    if (row === this.dataStart.length) this.#grow()
    this.keyIndex[row] = -1
    this.explicitIndex[row] = -1
    this.dataEnd[row] = -1
    const outerEnd = this.#end
    this.#end = end
    while (this.#at < end && !this.#isBroken) {
      const tag = this.#varint()
      if (tag === ((1 << 3) | VARINT)) this.keyIndex[row] = this.#varint()
      else if (tag === ((2 << 3) | VARINT)) this.explicitIndex[row] = this.#varint()
      else if (tag >>> 3 === 3) {
        const dataEnd = this.#lengthEnd(tag)
        if (dataEnd < 0) break
        this.dataStart[row] = this.#at
        this.dataEnd[row] = dataEnd
        this.#at = dataEnd
      } else this.#skip(tag)
    }
    this.#end = outerEnd
    this.count = row + 1
  }

  /** The tables may come behind the records that point into them. */
  #hasItsKeys(): boolean {
    const keys = this.partitionKeys.count
    const explicit = this.explicitKeys.count
    for (let row = 0; row < this.count; row++) {
      const key = this.keyIndex[row]!
      if (key < 0 || key >= keys || this.explicitIndex[row]! >= explicit || this.dataEnd[row]! < 0)
        return false
    }
    return true
  }

  /** False where an explicit hash key is no number. */
  #judge(range: HashRange | null): boolean {
    this.foreignCount = 0
    if (range === null) {
      this.isForeign.fill(0, 0, this.count)
      return true
    }
    const bytes = this.#bytes
    const ofKeys = new Uint8Array(this.partitionKeys.count)
    const ofExplicit = new Uint8Array(this.explicitKeys.count)
    for (let row = 0; row < this.count; row++) {
      const explicit = this.explicitIndex[row]!
      const [places, verdicts] = explicit < 0 ? [this.partitionKeys, ofKeys] : [this.explicitKeys, ofExplicit]
      const index = explicit < 0 ? this.keyIndex[row]! : explicit
      if (verdicts[index] === UNKNOWN) {
        const [start, end] = [places.start[index]!, places.end[index]!]
        const key =
          explicit < 0
            ? this.#md5.hash(bytes, start, end)
            : decimalKey(latin1.decode(bytes.subarray(start, end)))
        if (key === null) return false
        verdicts[index] = isInRange(key, range) ? OURS : FOREIGN
      }
      const isForeign = verdicts[index] === FOREIGN
      this.isForeign[row] = isForeign ? 1 : 0
      if (isForeign) this.foreignCount++
    }
    return true
  }

  /** What nobody knows: a newer field. */
  #skip(tag: number): void {
    const type = tag & 7
    if (tag >>> 3 === 0) this.#isBroken = true
    else if (type === VARINT) this.#skipVarint()
    else if (type === FIXED_64) this.#at += 8
    else if (type === FIXED_32) this.#at += 4
    else {
      const end = this.#lengthEnd(tag)
      if (end >= 0) this.#at = end
    }
    if (this.#at > this.#end) this.#isBroken = true
  }

  /** Where what has a length ends, with `at` at its beginning; below zero where it is broken. */
  #lengthEnd(tag: number): number {
    const length = (tag & 7) === LENGTH ? this.#varint() : -1
    const end = this.#at + length
    if (!this.#isBroken && length >= 0 && end <= this.#end) return end
    this.#isBroken = true
    return -1
  }

  /** Numbers here are lengths, tags and places in tables: what has more than 31 bits is broken. */
  #varint(): number {
    const bytes = this.#bytes
    let value = 0
    for (let shift = 0; shift < 35; shift += 7) {
      if (this.#at >= this.#end) break
      const byte = bytes[this.#at++]!
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) {
        if (value > 0x7fffffff) break
        return value
      }
    }
    this.#isBroken = true
    return 0
  }

  #skipVarint(): void {
    while (this.#at < this.#end && this.#bytes[this.#at]! >= 0x80) this.#at++
    this.#at++
  }

  #grow(): void {
    const rows = this.dataStart.length * 4
    this.dataStart = grown(this.dataStart, rows)
    this.dataEnd = grown(this.dataEnd, rows)
    this.keyIndex = grown(this.keyIndex, rows)
    this.explicitIndex = grown(this.explicitIndex, rows)
    this.isForeign = new Uint8Array(rows)
  }
}

/** Of texts in the bytes. */
class Places {
  count = 0
  start = new Int32Array(ROWS_MIN)
  end = new Int32Array(ROWS_MIN)

  push(start: number, end: number): void {
    if (this.count === this.start.length) {
      this.start = grown(this.start, this.count * 4)
      this.end = grown(this.end, this.count * 4)
    }
    this.start[this.count] = start
    this.end[this.count] = end
    this.count++
  }
}

const UNKNOWN = 0
const OURS = 1
const FOREIGN = 2
const latin1 = new TextDecoder('latin1')

function hasMagic(bytes: Uint8Array): boolean {
  return bytes[0] === 0xf3 && bytes[1] === 0x89 && bytes[2] === 0x9a && bytes[3] === 0xc2
}

function grown(from: Int32Array, length: number): Int32Array<ArrayBuffer> {
  const to = new Int32Array(length)
  to.set(from)
  return to
}
