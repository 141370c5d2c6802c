import { createHash } from 'node:crypto'

/** One record of an aggregate. */
export interface AggregatedEntry {
  readonly partitionKey: string
  /** Decides the shard in place of the partition key; decimal. */
  readonly explicitHashKey?: string
  readonly data: Uint8Array
}

const MAGIC = Uint8Array.of(0xf3, 0x89, 0x9a, 0xc2)
const MD5_BYTES = 16
/** Keys and values of the protobuf messages: a field's number and its wire type. */
const PARTITION_KEY = 0x0a
const EXPLICIT_KEY = 0x12
const RECORD = 0x1a
const RECORD_PARTITION_KEY = 0x08
const RECORD_EXPLICIT_KEY = 0x10
const RECORD_DATA = 0x1a

/**
 * Records as one, in the format of the Kinesis Producer Library: its magic, an AggregatedRecord in protobuf, the MD5 of that. All of them must belong to the same shard.
 * Kinesis stores it whole or not at all, so its records keep their order.
 */
export function writeAggregate(entries: readonly AggregatedEntry[]): Uint8Array {
  const partitionKeys = new KeyTable()
  const explicitKeys = new KeyTable()
  const records = entries.map(({ partitionKey, explicitHashKey, data }) => [
    RECORD_PARTITION_KEY,
    ...varint(partitionKeys.indexOf(partitionKey)),
    ...(explicitHashKey === undefined
      ? []
      : [RECORD_EXPLICIT_KEY, ...varint(explicitKeys.indexOf(explicitHashKey))]),
    RECORD_DATA,
    ...varint(data.length),
  ])
  const parts: Uint8Array[] = [
    ...partitionKeys.fields(PARTITION_KEY),
    ...explicitKeys.fields(EXPLICIT_KEY),
    ...entries.flatMap(({ data }, i) => {
      const head = records[i]!
      return [Uint8Array.of(RECORD, ...varint(head.length + data.length), ...head), data]
    }),
  ]
  const message = Buffer.concat(parts)
  return Buffer.concat([MAGIC, message, createHash('md5').update(message).digest()])
}

/** What an aggregate has beside its records and keys. */
export const AGGREGATE_BYTES = MAGIC.length + MD5_BYTES

/** Each key once. */
class KeyTable {
  readonly #indices = new Map<string, number>()

  indexOf(key: string): number {
    const index = this.#indices.get(key) ?? this.#indices.size
    this.#indices.set(key, index)
    return index
  }

  fields(tag: number): Uint8Array[] {
    return [...this.#indices.keys()].map((key) => {
      const text = Buffer.from(key)
      return Buffer.concat([Uint8Array.of(tag, ...varint(text.length)), text])
    })
  }
}

function varint(value: number): number[] {
  const bytes: number[] = []
  let rest = value
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80)
  bytes.push(rest)
  return bytes
}
