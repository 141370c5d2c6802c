import { expect, test } from 'vitest'
import { createBatch } from '../../src/columns/column.ts'
import { decodeUtf8 } from '../../src/columns/utf8.ts'
import { appendInt32, int32Column } from '../../src/columns/write.ts'
import { resultMessages } from '../../src/engine/result-messages.ts'
import type { TopicEncoder } from '../../src/ports.ts'

const encoder: TopicEncoder = {
  encode: (batch, row) => {
    const value = int32Column(batch.columns[0]!).values[row]!
    return { key: Uint8Array.of(value), value: new Uint8Array(value) }
  },
}
const identity = { pipeline: 'taxi', incarnation: 1, life: 'l1', task: 'merge-0', epoch: 3 }

function messagesOf(values: readonly number[], count: number) {
  const batch = createBatch([{ name: 'x', type: { kind: 'int32' }, nullable: false }])
  for (const value of values) appendInt32(int32Column(batch.columns[0]!), value)
  batch.length = values.length
  const options = { topic: 'sums', encoder, identity, firstIndex: 5, messageBytesMax: 1_000 }
  return resultMessages(batch, count, options)
}

test('rows become messages in their order, with the index that they have in the epoch', () => {
  const messages = messagesOf([1, 2, 3], 2)
  expect(messages.map(({ topic, key, value }) => [topic, key, value?.length])).toEqual([
    ['sums', Uint8Array.of(1), 1],
    ['sums', Uint8Array.of(2), 2],
  ])
  expect(messages.map(({ headers }) => decodeUtf8(headers.at(-1)?.value ?? new Uint8Array(0)))).toEqual([
    '5',
    '6',
  ])
})

test('a result that the topic would refuse stops the pipeline before its epoch is recorded', () => {
  expect(() => messagesOf([990], 1)).toThrow('topic takes 1000')
})
