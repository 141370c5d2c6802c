import { randomUUID } from 'node:crypto'
import { SchemaRegistry as KafkajsRegistry } from '@kafkajs/confluent-schema-registry'
import { type AvroSchema, avroSchema } from 'millrace'
import { confluentRegistry } from 'millrace/consumers/registry'
import { createProducer, type ProducerOptions } from 'millrace/producer'
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import { decodeOne } from '../avro/decode-one.ts'
import { readTopic, type SeenRecord } from '../kafka/read-topic.ts'
import { createTopic, findKafka, findKafkaPackages, startKafka } from '../parts/kafka.ts'
import { findRegistry } from '../parts/registry.ts'

interface Order {
  readonly id: bigint
  readonly shop: string
}

const Order: AvroSchema<Order, { id: 'long'; shop: 'string' }> = avroSchema({
  type: 'record',
  name: 'Order',
  fields: [
    { name: 'id', type: 'long' },
    { name: 'shop', type: 'string' },
  ],
})

const kafka = await findKafka()
const found = await findRegistry()
const isMissing = kafka.kind === 'missing' || found.kind === 'missing'
const brokers = kafka.kind === 'ready' ? [kafka.brokers] : []
const url = found.kind === 'ready' ? found.url : ''
const registry = confluentRegistry({ url: url === '' ? 'http://127.0.0.1:1' : url })

async function open(options: Partial<ProducerOptions<Order>> = {}, partitions = 3) {
  const topic = `orders-${randomUUID()}`
  await createTopic(brokers[0]!, topic, { partitions })
  const producer = await createProducer({ brokers, topic, schema: Order, registry, ...options })
  onTestFinished(() => producer.close())
  return { topic, producer }
}

const text = (bytes: Uint8Array | null): string | null =>
  bytes === null ? null : Buffer.from(bytes).toString()

describe.skipIf(isMissing)('a producer', () => {
  it('sends values that others decode, with key, headers and timestamp', async () => {
    const { topic, producer } = await open()
    const sent = await producer.send(
      { id: 5n, shop: 'harbour' },
      { key: 'harbour', timestamp: 1_716_000_000_000, headers: { trace: 'abc', empty: null } },
    )
    expect(sent).toEqual({ partition: expect.any(Number) as number, offset: 0 })
    const [record] = await readTopic(brokers[0]!, topic)
    expect(record).toMatchObject({ partition: sent.partition, offset: 0, timestampMs: 1_716_000_000_000 })
    expect(text(record!.key)).toBe('harbour')
    expect(record!.headers.map(({ key, value }) => [key, text(value)])).toEqual([
      ['trace', 'abc'],
      ['empty', null],
    ])
    const decoded = (await new KafkajsRegistry({ host: url }).decode(Buffer.from(record!.value!))) as Order
    expect({ ...decoded }).toEqual({ id: 5, shop: 'harbour' })
  })

  it('keeps the order of a key, and says where each value is', async () => {
    const { topic, producer } = await open({ key: ({ shop }) => shop })
    const values = Array.from({ length: 500 }, (_, index) => ({ id: BigInt(index), shop: `s${index % 7}` }))
    const sent = await producer.send(values)
    const records = await readTopic(brokers[0]!, topic)
    const at = new Map(records.map((record) => [`${record.partition}/${record.offset}`, record]))
    expect(sent.map(({ partition, offset }) => text(at.get(`${partition}/${offset}`)!.key))).toEqual(
      values.map(({ shop }) => shop),
    )
    for (const key of new Set(values.map(({ shop }) => shop))) {
      const offsets = sent.filter((_, index) => values[index]!.shop === key).map(({ offset }) => offset!)
      expect(offsets).toEqual([...offsets].sort((a, b) => a - b))
    }
  })

  it('sends what its compression makes smaller, and tombstones', async () => {
    const { topic, producer } = await open({ compression: 'gzip' }, 1)
    await producer.send({ id: 1n, shop: 'x'.repeat(1_000) }, { key: 'a' })
    await producer.sendTombstone('a')
    const records = await readTopic(brokers[0]!, topic)
    expect(records.map(({ key, value }) => [text(key), value?.length ?? null])).toEqual([
      ['a', 5 + 1 + 2 + 1_000],
      ['a', null],
    ])
  })

  it('sends nothing of a call in which one value does not fit', async () => {
    const { topic, producer } = await open({}, 1)
    const wrong = { id: 1n, shop: 5 } as unknown as Order
    await expect(producer.send([{ id: 1n, shop: 'a' }, wrong])).rejects.toMatchObject({
      code: 'PRODUCE_INVALID',
      message: `${topic}: value 1: shop must be a string, but is 5`,
    })
    await producer.send({ id: 2n, shop: 'only' })
    expect(await readTopic(brokers[0]!, topic)).toHaveLength(1)
  })

  it('splits what is too large for the topic, and names the record that is', async () => {
    const topic = `small-${randomUUID()}`
    await createTopic(brokers[0]!, topic, { config: { 'max.message.bytes': '2000' } })
    const producer = await createProducer({ brokers, topic, schema: Order, registry })
    onTestFinished(() => producer.close())
    const values = Array.from({ length: 40 }, (_, index) => ({ id: BigInt(index), shop: 'y'.repeat(200) }))
    expect((await producer.send(values)).map(({ offset }) => offset)).toEqual(values.map((_, index) => index))
    await expect(producer.send({ id: 0n, shop: 'z'.repeat(3_000) })).rejects.toMatchObject({
      code: 'MESSAGE_TOO_LARGE',
      advice: expect.stringContaining('max.message.bytes') as string,
    })
    expect((await producer.send(values[0]!)).offset).toBe(40)
  })

  it('looks the schema up where it may not register it', async () => {
    const { topic, producer } = await open()
    const options = { brokers, topic, schema: Order, registry, autoRegister: false }
    const second = await createProducer(options)
    expect(second.schemaId).toBe(producer.schemaId)
    await second.close()
    await expect(createProducer({ ...options, subject: randomUUID() })).rejects.toMatchObject({
      code: 'SCHEMA_NOT_REGISTERED',
    })
  })

  it('says what is wrong when it opens: topic, brokers, registry', async () => {
    const options = { brokers, schema: Order, registry, topic: `none-${randomUUID()}` }
    await expect(createProducer(options)).rejects.toMatchObject({ code: 'TOPIC_NOT_FOUND' })
    const { topic } = await open()
    await expect(createProducer({ ...options, topic, brokers: ['127.0.0.1:1'] })).rejects.toMatchObject({
      code: 'KAFKA_UNREACHABLE',
    })
    const nobody = confluentRegistry({ url: 'http://127.0.0.1:1' })
    await expect(createProducer({ ...options, topic, registry: nobody })).rejects.toMatchObject({
      code: 'REGISTRY_UNREACHABLE',
    })
  })
})

const packages = await findKafkaPackages()

describe.skipIf(packages.kind === 'missing' || isMissing)('while its broker goes away', () => {
  const own = startKafka()
  own.catch(() => {})
  afterAll(async () => (await own).dispose())

  it('sends again until it is stored, once: killed, started, stopped for a while', async () => {
    const broker = await own
    await createTopic(broker.brokers, 'orders', { partitions: 2 })
    const producer = await createProducer({
      brokers: [broker.brokers],
      topic: 'orders',
      schema: Order,
      registry,
      requestTimeoutMs: 1_500,
    })
    let next = 0
    const sending: Promise<unknown>[] = []
    const burst = () => {
      for (let count = 0; count < 50; count++) sending.push(producer.send({ id: BigInt(next++), shop: 's' }))
    }
    burst()
    await Promise.all(sending)
    burst()
    await broker.kill()
    burst()
    await broker.restart()
    burst()
    await Promise.all(sending)
    // It stores what it was sent, and answers nobody in time.
    burst()
    broker.pause()
    burst()
    await new Promise((resolve) => setTimeout(resolve, 4_000))
    broker.resume()
    await Promise.all(sending)
    const records: readonly SeenRecord[] = await readTopic(broker.brokers, 'orders')
    const ids = records.map(({ value }) =>
      Number((decodeOne(Order.avro, Order.avro, [...value!.subarray(5)]) as Order).id),
    )
    expect(ids.sort((a, b) => a - b)).toEqual(Array.from({ length: next }, (_, id) => id))
    await producer.close()
  })
})
