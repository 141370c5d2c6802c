import { createHash } from 'node:crypto'
import { createRequire } from 'node:module'
import type { RecordBatch } from '../../../src/ports.ts'

export interface UserRecord {
  readonly partitionKey: string
  readonly explicitHashKey?: string
  readonly data: Uint8Array
}

interface RecordAggregator {
  addUserRecord(record: { partitionKey: string; explicitHashKey?: string; data: Buffer }): void
  build(): { readonly data: Buffer }
}

/** Its types want those of two packages that nobody has. */
const kpl = createRequire(import.meta.url)('aws-kinesis-agg') as {
  readonly RecordAggregator: new () => RecordAggregator
}

/** An aggregate as awslabs' own library for Node makes it. */
export function aggregateOf(records: readonly UserRecord[]): Buffer {
  const aggregator = new kpl.RecordAggregator()
  for (const { data, ...record } of records) aggregator.addUserRecord({ ...record, data: Buffer.from(data) })
  return aggregator.build().data
}

/** Texts under one key. */
export function aggregateOfTexts(texts: readonly string[], partitionKey = 'key'): Buffer {
  return aggregateOf(texts.map((text) => ({ partitionKey, data: Buffer.from(text) })))
}

/** Magic and MD5 around any bytes. */
export function framed(message: Uint8Array): Buffer {
  const digest = createHash('md5').update(message).digest()
  return Buffer.concat([Buffer.from('f3899ac2', 'hex'), message, digest])
}

/** The hash key of a partition key, as Kinesis reckons it. */
export function hashKeyOf(partitionKey: string): bigint {
  return BigInt(`0x${createHash('md5').update(partitionKey).digest('hex')}`)
}

export interface ReadRow {
  readonly key: string
  readonly value: string
  readonly offset: number
  readonly arrivalMs: number
  readonly headers: Readonly<Record<string, string>>
  readonly after: string
}

/** A batch as plain objects; values in latin1, so that any bytes fit. */
export function rowsOf(batch: RecordBatch): readonly ReadRow[] {
  const arena = Buffer.from(batch.arena.buffer, batch.arena.byteOffset, batch.arena.length)
  return Array.from({ length: batch.count }, (_, row) => ({
    key: arena.toString('utf8', batch.keyStart[row], batch.keyEnd[row]),
    value: arena.toString('latin1', batch.valueStart[row], batch.valueEnd[row]),
    offset: batch.offsets[row]!,
    arrivalMs: batch.arrivalsMs[row]!,
    headers: Object.fromEntries(
      (batch.headers?.[row] ?? []).map(({ key, value }) => [key, Buffer.from(value!).toString('latin1')]),
    ),
    after: batch.positionAfter(row),
  }))
}
