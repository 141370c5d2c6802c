import { expect, test } from 'vitest'
import { type ColumnBatch, createBatch } from '../../src/columns/column.ts'
import { decodeUtf8 } from '../../src/columns/utf8.ts'
import { appendInt32, int32Column } from '../../src/columns/write.ts'
import { resultMessages } from '../../src/engine/result-messages.ts'
import type { TopicEncoder } from '../../src/ports.ts'

const encoder: TopicEncoder = {
  encode: (batch, row) => {
    const value = int32Column(batch.columns[0]!).values[row]!
    return { key: Uint8Array.of(value), value: new Uint8Array(value) }
  },
  encodeKey: (batch, row) => Uint8Array.of(int32Column(batch.columns[0]!).values[row]!),
}
const identity = { pipeline: 'taxi', incarnation: 1, life: 'l1', task: 'merge-0', epoch: 3 }

function batchOf(values: readonly number[]): ColumnBatch {
  const batch = createBatch([{ name: 'x', type: { kind: 'int32' }, nullable: false }])
  for (const value of values) appendInt32(int32Column(batch.columns[0]!), value)
  batch.length = values.length
  return batch
}

function messagesOf(
  values: readonly number[],
  selected: readonly number[] | null,
  gone: readonly number[] = [],
) {
  const options = { topic: 'sums', encoder, identity, firstIndex: 5, messageBytesMax: 1_000 }
  const selection = selected === null ? null : Int32Array.from(selected)
  const rows = { batch: batchOf(values), selection, count: selected?.length ?? values.length }
  return resultMessages(rows, { batch: batchOf(gone), selection: null, count: gone.length }, options)
}

const indexesOf = (messages: ReturnType<typeof messagesOf>) =>
  messages.map(({ headers }) => decodeUtf8(headers.at(-1)?.value ?? new Uint8Array(0)))

test('rows become messages in their order, with the index that they have in the epoch', () => {
  const messages = messagesOf([1, 2, 3], [0, 2])
  expect(messages.map(({ topic, key, value }) => [topic, key, value?.length])).toEqual([
    ['sums', Uint8Array.of(1), 1],
    ['sums', Uint8Array.of(3), 3],
  ])
  expect(indexesOf(messages)).toEqual(['5', '6'])
})

test('what is no more becomes a null value, before the others', () => {
  const messages = messagesOf([1], null, [7, 8])
  expect(messages.map(({ key, value }) => [key, value?.length ?? null])).toEqual([
    [Uint8Array.of(7), null],
    [Uint8Array.of(8), null],
    [Uint8Array.of(1), 1],
  ])
  expect(indexesOf(messages)).toEqual(['5', '6', '7'])
})

test('a result that the topic would refuse stops the pipeline before its epoch is recorded', () => {
  expect(() => messagesOf([990], null)).toThrow('topic takes 1000')
})
