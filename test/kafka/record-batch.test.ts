import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  BATCH_OVERHEAD_BYTES,
  encodeBatch,
  type OutRecord,
  recordBytesMax,
} from '../../src/kafka/record-batch.ts'
import { RecordCursor } from '../../src/kafka/record-cursor.ts'
import { RecordRows } from '../../src/kafka/record-rows.ts'

const bytes = fc.option(fc.uint8Array({ maxLength: 200 }))
const record = fc.record({
  key: bytes,
  value: bytes,
  headers: fc.array(fc.record({ key: fc.string({ unit: 'grapheme', maxLength: 10 }), value: bytes }), {
    maxLength: 4,
  }),
})
const timed = fc.record({ record, timestampMs: fc.integer({ min: -1, max: 4e12 }) })

function read(batch: Buffer): readonly (OutRecord & { readonly timestampMs: number })[] {
  const cursor = new RecordCursor({
    bytes: new Uint8Array(batch),
    fetchOffset: 0,
    isolation: 'read_committed',
    aborted: [],
    arrivalMs: 0,
    where: 't-0',
  })
  const rows = new RecordRows()
  cursor.read(rows, 1_000)
  const part = (starts: Int32Array, ends: Int32Array, row: number) =>
    ends[row]! < 0 ? null : rows.arena.slice(starts[row], ends[row])
  return Array.from({ length: rows.count }, (_, row) => ({
    key: part(rows.keyStart, rows.keyEnd, row),
    value: part(rows.valueStart, rows.valueEnd, row),
    headers: (rows.headers?.[row] ?? []).map(({ key, value }) => ({ key, value: value && value.slice() })),
    timestampMs: rows.timestampsMs[row]!,
  }))
}

test('records come back from a batch as they were, plain and compressed', () => {
  fc.assert(
    fc.property(
      fc.array(timed, { minLength: 1, maxLength: 10 }),
      fc.constantFrom('none' as const, 'gzip' as const),
      fc.boolean(),
      (sent, compression, isTransactional) => {
        const producer = { producerId: 2 ** 40, producerEpoch: 7, baseSequence: 3 }
        const records = sent.map((one) => one.record)
        const timestamps = sent.map((one) => one.timestampMs)
        const batch = encodeBatch(records, timestamps, producer, { isTransactional, compression })
        expect(read(batch)).toEqual(sent.map((one) => ({ ...one.record, timestampMs: one.timestampMs })))
        if (compression !== 'none') return
        const most = records.reduce((sum, one) => sum + recordBytesMax(one), BATCH_OVERHEAD_BYTES)
        expect(batch.length).toBeLessThanOrEqual(most)
      },
    ),
  )
})
