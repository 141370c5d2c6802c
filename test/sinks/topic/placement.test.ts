import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { nextRound, placeMessages, type PlacedBatch } from '../../../sinks/topic/placement.ts'
import { partitionOfKey } from '../../../src/kafka/murmur2.ts'
import { encodeTransactionalBatch } from '../../../src/kafka/record-batch.ts'
import type { OutboxMessage } from '../../../src/ports.ts'

const bytes = fc.uint8Array({ maxLength: 50 })
const message: fc.Arbitrary<OutboxMessage> = fc.record({
  topic: fc.constantFrom('a', 'b'),
  key: fc.option(fc.uint8Array({ maxLength: 2 })),
  value: fc.option(bytes),
  headers: fc.array(
    fc.record({ key: fc.string({ unit: 'grapheme', maxLength: 5 }), value: fc.option(bytes) }),
    {
      maxLength: 3,
    },
  ),
})

function place(messages: readonly OutboxMessage[], batchBytesMax: number): readonly PlacedBatch[] {
  let any = 0
  return placeMessages(messages, {
    partitionCount: (topic) => (topic === 'a' ? 3 : 1),
    batchBytesMax: () => batchBytesMax,
    nextAny: () => any++,
  })
}

describe('messages of an epoch', () => {
  test('all go to a partition of their topic, by their key, and keep their order there', () => {
    fc.assert(
      fc.property(
        fc.array(message, { maxLength: 40 }),
        fc.integer({ min: 100, max: 400 }),
        (messages, max) => {
          const batches = place(messages, max)
          expect(batches.reduce((sum, { records }) => sum + records.length, 0)).toBe(messages.length)
          const last = new Map<string, number>()
          for (const { topic, partition, records } of batches) {
            for (const record of records as readonly OutboxMessage[]) {
              expect(record.topic).toBe(topic)
              if (record.key !== null)
                expect(partition).toBe(partitionOfKey(record.key, topic === 'a' ? 3 : 1))
              const index = messages.indexOf(record)
              expect(index).toBeGreaterThan(last.get(`${topic}/${partition}`) ?? -1)
              last.set(`${topic}/${partition}`, index)
            }
          }
        },
      ),
    )
  })

  test('take no more on the wire than was reckoned, so that no batch is larger than its topic allows', () => {
    fc.assert(
      fc.property(
        fc.array(message, { minLength: 1, maxLength: 40 }),
        fc.integer({ min: 100, max: 900 }),
        (messages, max) => {
          for (const batch of place(messages, max)) {
            const producer = { producerId: 2 ** 40, producerEpoch: 3, baseSequence: 9 }
            expect(encodeTransactionalBatch(batch.records, producer, 1.7e12).length).toBeLessThanOrEqual(
              batch.bytes,
            )
            if (batch.records.length > 1) expect(batch.bytes).toBeLessThanOrEqual(max)
          }
        },
      ),
    )
  })

  test('without a key are spread evenly', () => {
    const messages = Array.from({ length: 9 }, () => ({ topic: 'a', key: null, value: null, headers: [] }))
    expect(place(messages, 1_000).map(({ partition, records }) => [partition, records.length])).toEqual([
      [0, 3],
      [1, 3],
      [2, 3],
    ])
  })
})

describe('batches', () => {
  test('are sent in rounds of one for each partition, in order, none twice, and in requests that are not too large', () => {
    fc.assert(
      fc.property(
        fc.array(message, { maxLength: 60 }),
        fc.integer({ min: 100, max: 2_000 }),
        (messages, max) => {
          const batches = place(messages, 150)
          const sent: PlacedBatch[] = []
          for (let left = batches; left.length > 0; ) {
            const { round, rest } = nextRound(left, max)
            const places = round.map(({ topic, partition }) => `${topic}/${partition}`)
            expect(new Set(places).size).toBe(round.length)
            if (round.length > 1)
              expect(round.reduce((sum, batch) => sum + batch.bytes, 0)).toBeLessThanOrEqual(max)
            expect(round.length).toBeGreaterThan(0)
            sent.push(...round)
            left = rest
          }
          for (const topic of ['a', 'b']) {
            for (const partition of [0, 1, 2]) {
              const of = (list: readonly PlacedBatch[]) =>
                list.filter((batch) => batch.topic === topic && batch.partition === partition)
              expect(of(sent)).toEqual(of(batches))
            }
          }
          expect(sent).toHaveLength(batches.length)
        },
      ),
    )
  })
})
