import fc from 'fast-check'
import { expect, test } from 'vitest'
import { PutQueue } from '../../../sinks/kinesis/put-queue.ts'
import type { PutEntry, PutOutcome } from '../../../src/kinesis/api.ts'

const entry = (partitionKey: string, data: Uint8Array): PutEntry => ({ partitionKey, data })

/** By key: the numbers of its entries, in the order in which each came first. */
function firstAppearances(stream: readonly PutEntry[]): ReadonlyMap<string, readonly number[]> {
  const firsts = new Map<string, number[]>()
  for (const { partitionKey, data } of stream) {
    const seen = firsts.get(partitionKey) ?? []
    if (!seen.includes(data[0]!)) seen.push(data[0]!)
    firsts.set(partitionKey, seen)
  }
  return firsts
}

/** What becomes of each entry of a request, and of its answer. */
const fates = fc.record({
  stored: fc.array(fc.boolean(), { minLength: 12, maxLength: 12 }),
  isLost: fc.boolean(),
})

test('whatever is refused and whatever answer is lost, all is stored, and the records of a key come first in their order', () => {
  const keys = fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 12 })
  fc.assert(
    fc.property(keys, fc.array(fates, { maxLength: 30 }), (all, script) => {
      const entries = all.map((key, index) => entry(key, Uint8Array.of(index)))
      const queue = new PutQueue(entries)
      const stream: PutEntry[] = []
      const next = [...script]
      while (queue.left > 0) {
        const { stored, isLost } = next.shift() ?? { stored: [], isLost: false }
        const batch = queue.next()
        const outcomes = batch.entries.map((one, index): PutOutcome => {
          if (stored[index] === false) return { kind: 'refused', code: 'InternalFailure', message: '' }
          stream.push(one)
          return { kind: 'stored', shardId: 's', sequenceNumber: `${stream.length}` }
        })
        if (!isLost) queue.settle(batch, outcomes)
      }
      expect(firstAppearances(stream)).toEqual(firstAppearances(entries))
    }),
  )
})

test('a request has 500 entries and 5 MiB at most, and a record that is larger goes alone', () => {
  const sizes = [
    ...Array.from({ length: 1_200 }, () => 10),
    ...Array.from({ length: 12 }, () => 1_000_000),
    6_000_000,
    10,
  ]
  const queue = new PutQueue(sizes.map((size, index) => entry(`key ${index}`, new Uint8Array(size))))
  const counts: number[] = []
  while (queue.left > 0) {
    const batch = queue.next()
    counts.push(batch.entries.length)
    queue.settle(
      batch,
      batch.entries.map(() => ({ kind: 'stored', shardId: 's', sequenceNumber: '1' })),
    )
  }
  expect(counts).toEqual([500, 500, 205, 5, 2, 1, 1])
})

test('a key that is refused again and again holds up no other', () => {
  const queue = new PutQueue(
    Array.from({ length: 1_000 }, (_, index) =>
      entry(index < 500 ? `hot ${index}` : `cold ${index}`, new Uint8Array(1)),
    ),
  )
  for (let requests = 0; requests < 2; requests++) {
    const batch = queue.next()
    queue.settle(
      batch,
      batch.entries.map(({ partitionKey }) =>
        partitionKey.startsWith('hot')
          ? { kind: 'refused', code: 'ProvisionedThroughputExceededException', message: '' }
          : { kind: 'stored', shardId: 's', sequenceNumber: '1' },
      ),
    )
  }
  expect(queue.left).toBe(500)
})
