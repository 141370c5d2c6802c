import { glueUuidAt, isGlueFrame } from '../../src/columns/glue-frame.ts'

/**
 * What our writer notes about a recording in the file's metadata, so that a source knows its partitions without
 * reading the file, and a cut between two blocks is seen. Recordings of other writers do not have it.
 */
export const SUMMARY_KEY = 'millrace.partitions'

/** The summary is known when the file is finished; the header keeps this much room for it. */
export const SUMMARY_BYTES = 8 * 1024

export interface RecordingSummary {
  readonly version: 1
  /** The size of the whole file. */
  readonly bytes: number
  readonly records: number
  readonly partitions: readonly PartitionSummary[]
  /** Ids in the Confluent frames of the values, ascending: also those that no registry knows. */
  readonly schemaIds: readonly number[]
  /** UUIDs in the frames of the AWS Glue Schema Registry, ascending likewise. */
  readonly schemaVersions: readonly string[]
}

/** Arrival times are the least and the greatest. */
export interface PartitionSummary {
  readonly topic: string
  readonly partition: number
  readonly records: number
  readonly firstOffset: number
  readonly nextOffset: number
  readonly firstArrivalMs: number
  readonly lastArrivalMs: number
  /** Numbers of the partitions whose records come before all of this one's, key by key: of a shard, those that it was split or merged from. Absent: none. */
  readonly parents?: readonly number[]
}

/** Adds up records, one after the other. */
export class SummaryBuilder {
  readonly #partitions = new Map<string, Mutable<PartitionSummary>>()
  /** By partition, also of those without records. */
  readonly #parents = new Map<string, readonly number[]>()
  readonly #schemaIds = new Set<number>()
  readonly #schemaVersions = new Set<string>()
  #records = 0

  /** `schema` as `framedSchema` gives it. */
  add(
    topic: string,
    partition: number,
    offset: number,
    arrivalMs: number,
    schema: number | string | null,
  ): void {
    this.#records += 1
    if (typeof schema === 'number') this.#schemaIds.add(schema)
    else if (schema !== null) this.#schemaVersions.add(schema)
    const name = `${partition} ${topic}`
    const found = this.#partitions.get(name)
    if (found === undefined) {
      this.#partitions.set(name, {
        topic,
        partition,
        records: 1,
        firstOffset: offset,
        nextOffset: offset + 1,
        firstArrivalMs: arrivalMs,
        lastArrivalMs: arrivalMs,
      })
      return
    }
    found.records += 1
    found.nextOffset = offset + 1
    found.firstArrivalMs = Math.min(found.firstArrivalMs, arrivalMs)
    found.lastArrivalMs = Math.max(found.lastArrivalMs, arrivalMs)
  }

  /** The records of these partitions come before all of this one's. */
  follow(topic: string, partition: number, parents: readonly number[]): void {
    this.#parents.set(`${partition} ${topic}`, parents)
  }

  /** The offset above which the partition's next record must be; -1 for a new partition. */
  lastOffset(topic: string, partition: number): number {
    return (this.#partitions.get(`${partition} ${topic}`)?.nextOffset ?? 0) - 1
  }

  summary(bytes: number): RecordingSummary {
    return {
      version: 1,
      bytes,
      records: this.#records,
      partitions: [...this.#partitions.values()]
        .sort((a, b) => compareText(a.topic, b.topic) || a.partition - b.partition)
        .map((entry) => ({ ...entry, ...this.#parentsOf(entry) })),
      schemaIds: [...this.#schemaIds].sort((a, b) => a - b),
      schemaVersions: [...this.#schemaVersions].sort(compareText),
    }
  }

  /** Those that have records: of one that has none, those that it follows. */
  #parentsOf({ topic, partition }: PartitionSummary): Pick<PartitionSummary, 'parents'> {
    const found = new Set<number>()
    const next = [...(this.#parents.get(`${partition} ${topic}`) ?? [])]
    for (let parent = next.pop(); parent !== undefined; parent = next.pop()) {
      if (this.#partitions.has(`${parent} ${topic}`)) found.add(parent)
      else next.push(...(this.#parents.get(`${parent} ${topic}`) ?? []))
    }
    return found.size === 0 ? {} : { parents: [...found].sort((a, b) => a - b) }
  }
}

/** Exactly SUMMARY_BYTES of JSON and spaces; only spaces where it does not fit, or is not known yet. */
export function encodeSummary(summary: RecordingSummary | null): Uint8Array {
  const bytes = new Uint8Array(SUMMARY_BYTES).fill(0x20)
  if (summary === null) return bytes
  const { schemaVersions, ...rest } = summary
  // Left out where there are none, as before there were such.
  const noted = schemaVersions.length === 0 ? rest : summary
  const json = new TextEncoder().encode(JSON.stringify(noted))
  if (json.length <= SUMMARY_BYTES) bytes.set(json)
  return bytes
}

/** Null where there is none that this version understands. */
export function decodeSummary(bytes: Uint8Array | undefined): RecordingSummary | null {
  if (bytes === undefined) return null
  const text = new TextDecoder().decode(bytes).trim()
  if (text === '') return null
  let summary: unknown
  try {
    summary = JSON.parse(text)
  } catch {
    return null
  }
  if (!isSummary(summary)) return null
  const { schemaVersions } = summary as Partial<RecordingSummary>
  return { ...summary, schemaVersions: Array.isArray(schemaVersions) ? schemaVersions : [] }
}

/** The id in a Confluent frame (0x00, int32 big-endian), or null where the bytes are not one. */
export function framedSchemaId(value: Uint8Array | null): number | null {
  if (value === null || value.length < 5 || value[0] !== 0) return null
  return (value[1]! << 24) | (value[2]! << 16) | (value[3]! << 8) | value[4]!
}

/** The id in a Confluent frame, or the UUID in one of the AWS Glue Schema Registry; null where the bytes are neither. */
export function framedSchema(value: Uint8Array | null): number | string | null {
  if (value !== null && isGlueFrame(value, 0, value.length)) return glueUuidAt(value, 0)
  return framedSchemaId(value)
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

function isSummary(value: unknown): value is RecordingSummary {
  if (typeof value !== 'object' || value === null) return false
  const { version, bytes, partitions, schemaIds } = value as Partial<RecordingSummary>
  return (
    version === 1 &&
    typeof bytes === 'number' &&
    Array.isArray(schemaIds) &&
    Array.isArray(partitions) &&
    partitions.every(
      (entry: Partial<PartitionSummary> | null) =>
        typeof entry?.topic === 'string' && typeof entry.partition === 'number',
    )
  )
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
