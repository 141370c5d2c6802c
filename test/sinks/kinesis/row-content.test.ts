import { describe, expect, test } from 'vitest'
import { RowContent } from '../../../sinks/kinesis/row-content.ts'
import { registerEncoder } from '../../../sinks/topic/topic-encoder.ts'
import { compileAppender } from '../../../src/columns/append.ts'
import { type ColumnBatch, createBatch } from '../../../src/columns/column.ts'
import type { Field } from '../../../src/columns/column-type.ts'
import { identityHeaders, messageBytes } from '../../../src/engine/message-identity.ts'
import type { PutEntry } from '../../../src/kinesis/api.ts'
import type { OutboxMessage, TopicEncoder, TopicShape } from '../../../src/ports.ts'
import { TestRegistry } from './stream-kit.ts'

const zone: Field = { name: 'zone', type: { kind: 'string' }, nullable: false }
const floor: Field = { name: 'floor', type: { kind: 'int32' }, nullable: true }
const rides: Field = { name: 'rides', type: { kind: 'int64' }, nullable: false }
const byZone: TopicShape = { topic: 'zone-rides', keyFields: [zone], fields: [zone, floor, rides] }
const byFloor: TopicShape = { topic: 'floor-rides', keyFields: [zone, floor], fields: [zone, floor, rides] }

function batchOf(...rows: readonly { zone: string; floor: number | null; rides: bigint }[]): ColumnBatch {
  const batch = createBatch([zone, floor, rides])
  const append = compileAppender([zone, floor, rides])
  for (const row of rows) {
    append(row, batch.columns)
    batch.length++
  }
  return batch
}

const headersOf = identityHeaders({ pipeline: 'taxi', incarnation: 2, life: 'l1', task: 'merge', epoch: 7 })

function messageOf(
  shape: TopicShape,
  encoder: TopicEncoder,
  row: { zone: string; floor: number | null; rides: bigint },
  isGone = false,
): OutboxMessage {
  const batch = batchOf(row)
  const record = isGone ? { key: encoder.encodeKey(batch, 0), value: null } : encoder.encode(batch, 0)
  return { topic: shape.topic, ...record, headers: headersOf(3) }
}

async function entryOf(content: RowContent, message: OutboxMessage): Promise<PutEntry> {
  return (await content.entriesOf([message]))[0]!
}

const ID = 'taxi/2/l1/merge/7/3'
const MIDTOWN = { zone: 'Midtown', floor: null, rides: 12n }

describe('a row in a stream', () => {
  test('is what the topic would have, and its id', async () => {
    const registry = new TestRegistry()
    const content = new RowContent(registry)
    const [encoder] = await content.encoders([byZone])
    const { data, partitionKey } = await entryOf(content, messageOf(byZone, encoder!, MIDTOWN))
    expect(registry.decode(data)).toEqual({ zone: 'Midtown', floor: null, rides: 12, _id: ID })
    expect(partitionKey).toBe('Midtown')
    expect(registry.schemas.map(({ subject }) => subject)).toEqual(['zone-rides-key', 'zone-rides-value'])
  })

  test('that is no more is its key, and its id', async () => {
    const registry = new TestRegistry()
    const content = new RowContent(registry)
    const encoders = await content.encoders([byZone, byFloor])
    const row = { ...MIDTOWN, floor: 3 }
    const entry = await entryOf(content, messageOf(byFloor, encoders[1]!, row, true))
    expect(registry.decode(entry.data)).toEqual({ zone: 'Midtown', floor: 3, _id: ID })
    expect(entry.partitionKey).toBe('["Midtown",3]')
    const value = await entryOf(content, messageOf(byFloor, encoders[1]!, row))
    expect(value.partitionKey).toBe(entry.partitionKey)
  })

  test.each(['', 'z'.repeat(257), 'é'.repeat(400)])(
    'has a partition key that Kinesis takes: %#',
    async (name) => {
      const content = new RowContent(new TestRegistry())
      const [encoder] = await content.encoders([byZone])
      const message = messageOf(byZone, encoder!, { ...MIDTOWN, zone: name })
      const { partitionKey, data } = await entryOf(content, message)
      expect(partitionKey).toMatch(/^[0-9a-f]{64}$/)
      // What counts against the limit of a record is never more than what was counted before it was staged.
      expect(data.length + partitionKey.length).toBeLessThanOrEqual(messageBytes(message))
    },
  )

  test('that was staged for a Kafka topic gets an id too, in a schema that has one', async () => {
    const registry = new TestRegistry()
    const encoder = await registerEncoder(byZone, registry)
    const value = messageOf(byZone, encoder, MIDTOWN)
    const gone = messageOf(byZone, encoder, MIDTOWN, true)
    const content = new RowContent(registry)
    await content.encoders([byZone])
    const entries = [await entryOf(content, value), await entryOf(content, gone)]
    expect(entries.map(({ data }) => registry.decode(data))).toEqual([
      { zone: 'Midtown', floor: null, rides: 12, _id: ID },
      { zone: 'Midtown', _id: ID },
    ])
    expect(entries[0]!.partitionKey).toBe(entries[1]!.partitionKey)
  })

  test('that an earlier start has staged is known by its schema, though the program has another now', async () => {
    const registry = new TestRegistry()
    const before = new RowContent(registry)
    const [encoder] = await before.encoders([byZone])
    const staged = messageOf(byZone, encoder!, MIDTOWN)
    const content = new RowContent(registry)
    await content.encoders([{ ...byZone, fields: [zone, rides] }])
    expect(await entryOf(content, staged)).toEqual(await entryOf(before, staged))
  })

  test('needs a registry that takes schemas', async () => {
    const registry = { description: 'files', schemaById: () => Promise.resolve(null) }
    await expect(new RowContent(registry).encoders([byZone])).rejects.toMatchObject({
      code: 'REGISTRY_READ_ONLY',
    })
  })
})
