import { createHash } from 'node:crypto'
import { deaggregateSync } from 'aws-kinesis-agg'
import * as fc from 'fast-check'
import { expect, it } from 'vitest'
import { Aggregate } from '../../consumers/kinesis/aggregate.ts'
import { type AggregatedEntry, writeAggregate } from '../../src/kinesis/write-aggregate.ts'

const entry = fc.record(
  {
    // The other library's tables mix up keys that look like numbers.
    partitionKey: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 200 }).map((key) => `k${key}`),
    explicitHashKey: fc.bigInt({ min: 0n, max: 2n ** 128n - 1n }).map(String),
    data: fc.uint8Array({ minLength: 1, maxLength: 300 }),
  },
  { requiredKeys: ['partitionKey', 'data'] },
)

it('is taken apart by another implementation into what went in', () => {
  fc.assert(
    fc.property(fc.array(entry, { minLength: 1, maxLength: 40 }), (entries) => {
      const records = deaggregated(writeAggregate(entries))
      expect(records.map(({ partitionKey }) => partitionKey)).toEqual(
        entries.map(({ partitionKey }) => partitionKey),
      )
      for (const [i, { data }] of records.entries()) {
        expect(Buffer.from(data, 'base64').equals(Buffer.from(entries[i]!.data))).toBe(true)
      }
    }),
    { numRuns: 100 },
  )
})

it('is taken apart by the reader of shards into what went in, explicit hash keys too', () => {
  const aggregate = new Aggregate()
  fc.assert(
    fc.property(fc.array(entry, { minLength: 1, maxLength: 200 }), (entries: readonly AggregatedEntry[]) => {
      const bytes = writeAggregate(entries)
      expect(aggregate.parse(bytes, null)).toBe(true)
      expect(aggregate.count).toBe(entries.length)
      for (const [i, { data }] of entries.entries()) {
        const found = bytes.subarray(aggregate.dataStart[i], aggregate.dataEnd[i])
        expect(Buffer.compare(found, data)).toBe(0)
        expect(aggregate.explicitIndex[i] === -1).toBe(entries[i]!.explicitHashKey === undefined)
      }
    }),
    { numRuns: 100 },
  )
})

it('has a record of many bytes, whose length takes several bytes itself', () => {
  const data = new Uint8Array(70_000).fill(7)
  const [record] = deaggregated(writeAggregate([{ partitionKey: 'key', data }]))
  expect(createHash('md5').update(Buffer.from(record!.data, 'base64')).digest('hex')).toBe(
    createHash('md5').update(data).digest('hex'),
  )
})

interface Deaggregated {
  readonly partitionKey: string
  readonly data: string
}

function deaggregated(bytes: Uint8Array): readonly Deaggregated[] {
  let found: readonly Deaggregated[] = []
  const record = {
    kinesisSchemaVersion: '1.0',
    partitionKey: 'outer',
    sequenceNumber: '1',
    approximateArrivalTimestamp: 0,
    data: Buffer.from(bytes).toString('base64'),
  }
  deaggregateSync(record, true, (error: unknown, records) => {
    if (error) throw error
    found = records ?? []
  })
  return found
}
