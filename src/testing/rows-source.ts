import { frameEncoder } from '../../consumers/recording/make-recording.ts'
import { encodeUtf8 } from '../columns/utf8.ts'
import type { ReadResult, RecordBatch, Source, SourceBinding, SourcePartition } from '../ports.ts'
import type { PipelineSpec } from '../topology/node.ts'

/**
 * One record of a test: a row of the stream's schema as JSON (times as ISO 8601 text or milliseconds, as in `millrace
 * recording make`), or the bytes that a broker would give.
 */
export interface TestRecord {
  readonly row?: object
  /** Instead of a row. Null is a tombstone. */
  readonly value?: Uint8Array | null
  readonly key?: string
  /** Default: 0. */
  readonly partition?: number
  /** Milliseconds since 1970. Default: the newest event time so far. */
  readonly arrivalMs?: number
}

const SCHEMA_ID = 1

/**
 * Records in memory as the source of a replay. Offsets count from 0 in each partition. With `readFirst` reading stops after so many of them, in the order given,
 * and more may follow.
 */
export function rowsSource(
  pipeline: PipelineSpec,
  records: readonly TestRecord[],
  readFirst = records.length,
): SourceBinding {
  const { name, schema, eventTime } = pipeline.source
  const schemaJson = JSON.stringify(schema.avro)
  const encoded = encodeRecords(schemaJson, name, eventTime, records)
  const partitions = partitionsOf(encoded)
  const readable = partitionsOf(encoded.slice(0, readFirst))
  const ending = readFirst < records.length ? 'stop' : 'end'
  return {
    open: () => new RowsSource(name, [...partitions.keys()], readable, ending),
    registry: {
      description: 'the schema of the stream',
      schemaById: (id) => Promise.resolve(id === SCHEMA_ID ? schemaJson : null),
    },
    isReplay: true,
  }
}

interface Encoded {
  readonly partition: number
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly arrivalMs: number
}

function encodeRecords(
  schemaJson: string,
  name: string,
  eventTime: string | null,
  records: readonly TestRecord[],
): readonly Encoded[] {
  const encoder = frameEncoder(schemaJson, name, SCHEMA_ID)
  let clockMs = 0
  return records.map((record) => {
    if (record.row !== undefined && eventTime !== null) {
      const time = (record.row as Record<string, unknown>)[eventTime]
      const timeMs = typeof time === 'string' ? Date.parse(time) : Number(time)
      if (Number.isFinite(timeMs)) clockMs = Math.max(clockMs, timeMs)
    }
    return {
      partition: record.partition ?? 0,
      key: record.key === undefined ? null : encodeUtf8(record.key),
      value: record.row === undefined ? (record.value ?? null) : encoder.encode(record.row),
      arrivalMs: record.arrivalMs ?? clockMs,
    }
  })
}

function partitionsOf(records: readonly Encoded[]): ReadonlyMap<number, readonly Encoded[]> {
  const partitions = new Map<number, Encoded[]>()
  for (const record of records) {
    const list = partitions.get(record.partition)
    if (list === undefined) partitions.set(record.partition, [record])
    else list.push(record)
  }
  return partitions
}

class RowsSource implements Source {
  readonly description = 'records of a test'
  readonly #topic: string
  readonly #partitions: readonly number[]
  readonly #records: ReadonlyMap<number, readonly Encoded[]>
  readonly #ending: 'end' | 'stop'

  constructor(
    topic: string,
    partitions: readonly number[],
    records: ReadonlyMap<number, readonly Encoded[]>,
    ending: 'end' | 'stop',
  ) {
    this.#topic = topic
    this.#partitions = partitions
    this.#records = records
    this.#ending = ending
  }

  async partitions(): Promise<readonly SourcePartition[]> {
    return this.#partitions
      .toSorted((a, b) => a - b)
      .map((partition) => ({ id: `${this.#topic}-${partition}`, topic: this.#topic, partition }))
  }

  async open(partition: SourcePartition, position: string | null): ReturnType<Source['open']> {
    const records = this.#records.get(partition.partition) ?? []
    let next = Number(position ?? 0)
    return {
      read: async (recordsMax): Promise<ReadResult> => {
        if (next >= records.length) return { kind: this.#ending }
        const batch = batchOf(records, next, Math.min(records.length, next + recordsMax))
        next += batch.count
        return { kind: 'records', batch }
      },
      close: () => Promise.resolve(),
    }
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}

function batchOf(records: readonly Encoded[], from: number, to: number): RecordBatch {
  const count = to - from
  const part = records.slice(from, to)
  const arena = new Uint8Array(
    part.reduce((sum, { key, value }) => sum + (key?.length ?? 0) + (value?.length ?? 0), 0),
  )
  const keyStart = new Int32Array(count)
  const keyEnd = new Int32Array(count).fill(-1)
  const valueStart = new Int32Array(count)
  const valueEnd = new Int32Array(count).fill(-1)
  let at = 0
  part.forEach(({ key, value }, i) => {
    if (key !== null) {
      arena.set(key, at)
      keyStart[i] = at
      at += key.length
      keyEnd[i] = at
    }
    if (value !== null) {
      arena.set(value, at)
      valueStart[i] = at
      at += value.length
      valueEnd[i] = at
    }
  })
  const arrivalsMs = Float64Array.from(part, (record) => record.arrivalMs)
  return {
    count,
    arena,
    keyStart,
    keyEnd,
    valueStart,
    valueEnd,
    offsets: Float64Array.from(part, (_, i) => from + i),
    timestampsMs: arrivalsMs,
    arrivalsMs,
    headers: null,
    positionAfter: (index) => String(from + index + 1),
  }
}
