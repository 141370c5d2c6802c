import { afterAll, describe, expect, test } from 'vitest'
import type { KafkaOutbox } from '../../../sinks/topic/kafka-outbox.ts'
import { partitionOfKey } from '../../../src/kafka/murmur2.ts'
import { encodeUtf8 } from '../../../src/columns/utf8.ts'
import { createTopic, findKafka } from '../../parts/kafka.ts'
import {
  byText,
  codeOf,
  epochOf,
  kafkaOf,
  newOutbox,
  newOwner,
  openOutbox,
  readCommitted,
  uniqueName,
  valuesIn,
} from './outbox-kit.ts'

const kafka = await findKafka()

describe.skipIf(kafka.kind === 'missing')('an outbox in Kafka', () => {
  const brokers = kafka.kind === 'ready' ? kafka.brokers : ''
  const outboxes: KafkaOutbox[] = []

  afterAll(async () => {
    await Promise.all(outboxes.map((outbox) => outbox.close()))
  })

  async function newTopic(partitions = 4, config = {}): Promise<string> {
    const topic = uniqueName('dead')
    await createTopic(brokers, topic, { partitions, config })
    return topic
  }

  /** One per process that is played. */
  async function open(topic: string, options = {}): Promise<KafkaOutbox> {
    const outbox = await openOutbox(brokers, [topic], options)
    outboxes.push(outbox)
    return outbox
  }

  test('publishes messages as they are, with the marker of their epoch', async () => {
    const topic = await newTopic()
    const outbox = await open(topic)
    const owner = newOwner()
    const task = await outbox.claim(owner.pipeline, owner.task)
    expect(task.marker).toBeNull()
    await task.publish(epochOf(owner, topic, 4, ['a', 'b', null]))
    await task.publish(epochOf(owner, topic, 7, ['c']))
    const read = await readCommitted(brokers, topic)
    expect(read.map(({ key, value }) => [key, value]).toSorted(byText)).toEqual([
      ['key a', 'a'],
      ['key b', 'b'],
      ['key c', 'c'],
      ['key null', null],
    ])
    for (const { key, partition } of read) expect(partition).toBe(partitionOfKey(encodeUtf8(key!), 4))
    expect(read.find(({ value }) => value === 'b')?.headers).toEqual({
      from: 'test',
      'millrace.pipeline': owner.pipeline,
      'millrace.incarnation': '1',
      'millrace.life': 'life1',
      'millrace.task': 'trips-3',
      'millrace.epoch': '4',
      'millrace.index': '1',
    })
    const next = await (await open(topic)).claim(owner.pipeline, owner.task)
    expect(next.marker).toEqual({ incarnation: 1, life: 'life1', epoch: 7 })
  })

  test('spreads messages without a key, and gives each task and kind of outbox a marker of its own', async () => {
    const topic = await newTopic()
    const owner = newOwner()
    const dead = await open(topic)
    const out = await open(topic, { kind: 'out' })
    const task = await dead.claim(owner.pipeline, owner.task)
    const epoch = epochOf(owner, topic, 0, ['a', 'b', 'c', 'd'])
    await task.publish({ ...epoch, messages: epoch.messages.map((message) => ({ ...message, key: null })) })
    const read = await readCommitted(brokers, topic)
    expect(new Set(read.map(({ partition }) => partition)).size).toBe(4)
    expect((await dead.claim(owner.pipeline, 'trips-4')).marker).toBeNull()
    expect((await out.claim(owner.pipeline, owner.task)).marker).toBeNull()
    expect((await dead.claim(owner.pipeline, owner.task)).marker?.epoch).toBe(0)
  })

  test('splits what is large into batches and requests, in the order of each partition', async () => {
    const topic = await newTopic(3)
    const outbox = await open(topic)
    const owner = newOwner()
    const task = await outbox.claim(owner.pipeline, owner.task)
    const values = Array.from({ length: 1_500 }, (_, i) => `${i}`.padStart(5, '0').padEnd(20_000, '.'))
    await task.publish(epochOf(owner, topic, 1, values))
    const read = await readCommitted(brokers, topic)
    expect(read.map(({ value }) => value).toSorted(byText)).toEqual(values)
    for (const partition of [0, 1, 2]) {
      const indices = read
        .filter((one) => one.partition === partition)
        .map(({ headers }) => Number(headers['millrace.index']))
      expect(indices.length).toBeGreaterThan(300)
      expect(indices).toEqual(indices.toSorted((a, b) => a - b))
    }
  })

  test('commits the offset of the users’ group in the same transaction, and does without where it cannot', async () => {
    const topic = await newTopic(1)
    const input = await newTopic(1)
    const outbox = await open(topic)
    const owner = newOwner()
    const groupId = uniqueName('group')
    const admin = kafkaOf(brokers).admin()
    await admin.connect()
    const { clusterId } = await admin.describeCluster()
    const offset = { clusterId, groupId, topic: input, partition: 0, offset: '41' }
    const task = await outbox.claim(owner.pipeline, owner.task)
    await task.publish(epochOf(owner, topic, 0, ['a'], { groupOffset: offset }))
    // The end of a transaction is answered before the group has heard of it.
    const shown = async (): Promise<string | undefined> =>
      (await admin.fetchOffsets({ groupId, topics: [input] }))[0]?.partitions[0]?.offset
    await expect.poll(shown, { timeout: 20_000 }).toBe('41')
    const elsewhere = { ...offset, clusterId: 'another', offset: '42' }
    await task.publish(epochOf(owner, topic, 1, ['b'], { groupOffset: elsewhere }))
    const nowhere = { ...offset, topic: 'no-such-topic', offset: '43' }
    await task.publish(epochOf(owner, topic, 2, ['c'], { groupOffset: nowhere }))
    expect(await shown()).toBe('41')
    await admin.disconnect()
    expect(await valuesIn(brokers, topic)).toEqual(['a', 'b', 'c'])
  })

  test('fences an owner that was replaced: what it publishes is seen by nobody', async () => {
    const topic = await newTopic()
    const owner = newOwner()
    const sleeper = await (await open(topic)).claim(owner.pipeline, owner.task)
    await sleeper.publish(epochOf(owner, topic, 1, ['a']))
    const successor = await (await open(topic)).claim(owner.pipeline, owner.task)
    expect(await codeOf(sleeper.publish(epochOf(owner, topic, 2, ['b'])))).toBe('OUTBOX_FENCED')
    // It stays so, whatever comes next.
    expect(await codeOf(sleeper.publish(epochOf(owner, topic, 3, ['c'])))).toBe('OUTBOX_FENCED')
    expect(successor.marker?.epoch).toBe(1)
    await successor.publish(epochOf(owner, topic, 2, ['b of the successor']))
    expect(await valuesIn(brokers, topic)).toEqual(['a', 'b of the successor'])
  })

  test('reads the marker after the fence: what a predecessor has open is aborted first', async () => {
    const topic = await newTopic(1)
    const owner = newOwner()
    const outbox = await open(topic)
    await (await outbox.claim(owner.pipeline, owner.task)).publish(epochOf(owner, topic, 1, ['a']))
    const id = `millrace-${owner.pipeline}-${owner.task}-dlq`
    const producer = kafkaOf(brokers).producer({
      transactionalId: id,
      maxInFlightRequests: 1,
      idempotent: true,
    })
    await producer.connect()
    const transaction = await producer.transaction()
    await transaction.send({ topic, messages: [{ key: 'k', value: 'open' }] })
    const partitions = [{ partition: 0, offset: '2', metadata: '1:life1:2' }]
    await transaction.sendOffsets({ consumerGroupId: id, topics: [{ topic, partitions }] })
    const successor = await outbox.claim(owner.pipeline, owner.task)
    expect(successor.marker?.epoch).toBe(1)
    await expect(transaction.commit()).rejects.toThrow()
    await producer.disconnect()
    expect(await valuesIn(brokers, topic)).toEqual(['a'])
  })

  test('lets a publication and a claim race: the marker tells which was first', async () => {
    const topic = await newTopic(2)
    const owner = newOwner()
    const [one, other] = [await open(topic), await open(topic)]
    let task = await one.claim(owner.pipeline, owner.task)
    const published: string[] = []
    for (let epoch = 0; epoch < 25; epoch++) {
      const value = `${epoch}`.padStart(3, '0')
      const pause = new Promise((resolve) => setTimeout(resolve, epoch % 5))
      const publishing = codeOf(task.publish(epochOf(owner, topic, epoch, [value])))
      const successor = await pause.then(() =>
        (epoch % 2 === 0 ? other : one).claim(owner.pipeline, owner.task),
      )
      const outcome = await publishing
      const isPublished = successor.marker?.epoch === epoch
      if (isPublished) published.push(value)
      // Who is told that it was published can rely on it.
      if (outcome === 'resolved') expect(isPublished).toBe(true)
      else expect(outcome).toMatch(/^OUTBOX_(FENCED|IN_DOUBT)$/)
      if (outcome === 'OUTBOX_FENCED') expect(isPublished).toBe(false)
      task = successor
    }
    expect(await valuesIn(brokers, topic)).toEqual(published)
  })

  test('finds what is published in the topics themselves when the marker is gone', async () => {
    const topic = await newTopic(3)
    const owner = newOwner()
    const outbox = await open(topic)
    const task = await outbox.claim(owner.pipeline, owner.task)
    const filler = Array.from({ length: 3_000 }, (_, i) => `${i}`)
    for (const epoch of [1, 2, 4]) await task.publish(epochOf(owner, topic, epoch, [`${epoch}`, 'x']))
    // Others write to the topic too: another task, another pipeline, another life.
    const neighbour = { ...owner, task: 'trips-4' }
    await (await outbox.claim(neighbour.pipeline, neighbour.task)).publish(
      epochOf(neighbour, topic, 5, filler),
    )
    const stranger = newOwner()
    await (await outbox.claim(stranger.pipeline, stranger.task)).publish(epochOf(stranger, topic, 5, ['x']))
    await task.publish(epochOf(owner, topic, 3, ['x'], { life: 'life2' }))

    const admin = kafkaOf(brokers).admin()
    await admin.connect()
    await admin.deleteGroups([`millrace-${owner.pipeline}-${owner.task}-dlq`])
    await admin.disconnect()
    const successor = await outbox.claim(owner.pipeline, owner.task)
    expect(successor.marker).toBeNull()
    expect(await successor.findPublished('life1', [2, 3, 4, 5], [topic])).toEqual(new Set([2, 4]))
    expect(await successor.findPublished('life1', [1], [topic])).toEqual(new Set([1]))
    expect(await successor.findPublished('life2', [1, 3], [topic])).toEqual(new Set([3]))
    expect(await successor.findPublished('life1', [6], [topic])).toEqual(new Set())
  })

  test('does not trust a marker that somebody has reset, nor a topic that cannot be seen', async () => {
    const topic = await newTopic(1)
    const owner = newOwner()
    const outbox = await open(topic)
    const task = await outbox.claim(owner.pipeline, owner.task)
    await task.publish(epochOf(owner, topic, 5, ['a']))
    const admin = kafkaOf(brokers).admin()
    await admin.connect()
    const groupId = `millrace-${owner.pipeline}-${owner.task}-dlq`
    await admin.setOffsets({ groupId, topic, partitions: [{ partition: 0, offset: '0' }] })
    await admin.disconnect()
    const successor = await outbox.claim(owner.pipeline, owner.task)
    expect(successor.marker).toBeNull()
    expect(await codeOf(successor.findPublished('life1', [5], ['no-such-topic']))).toBe('TOPIC_NOT_FOUND')
  })

  test('does not overlook what lies behind an open transaction of somebody else', async () => {
    const topic = await newTopic(1)
    const owner = newOwner()
    const outbox = await open(topic)
    const producer = kafkaOf(brokers).producer({
      transactionalId: uniqueName('other'),
      maxInFlightRequests: 1,
      idempotent: true,
    })
    await producer.connect()
    const transaction = await producer.transaction()
    await transaction.send({ topic, messages: [{ key: 'k', value: 'open' }] })
    const task = await outbox.claim(owner.pipeline, owner.task)
    await task.publish(epochOf(owner, topic, 1, ['behind']))
    const finding = task.findPublished('life1', [1], [topic])
    const first = await Promise.race([
      finding.then(() => 'found'),
      new Promise((resolve) => setTimeout(resolve, 300)),
    ])
    expect(first).toBeUndefined()
    await transaction.abort()
    expect(await finding).toEqual(new Set([1]))
    await producer.disconnect()
  })

  test('opens only what it can write to', async () => {
    expect(await codeOf(newOutbox(brokers).open(['no-such-topic'], []))).toBe('TOPIC_NOT_FOUND')
    const compacted = await newTopic(1, { 'cleanup.policy': 'compact' })
    expect(await codeOf(newOutbox(brokers).open([compacted], []))).toBe('TOPIC_COMPACTED')
    expect(await codeOf(newOutbox(brokers, { kind: 'out' }).open([compacted], []))).toBe('resolved')
    const small = await newTopic(1, { 'max.message.bytes': '2000' })
    expect(await codeOf(newOutbox(brokers).open([small], []))).toBe('TOPIC_LIMIT')
    const outbox = newOutbox(brokers)
    const [limited, unlimited] = [await newTopic(1, { 'max.message.bytes': '100000' }), await newTopic(1)]
    await outbox.open([unlimited, limited], [])
    expect(outbox.messageBytesMax).toBeLessThan(100_000)
    expect(outbox.messageBytesMax).toBeGreaterThan(99_000)
    outboxes.push(outbox)
  })

  test('takes a message of exactly the size that it says it takes', async () => {
    const topic = await newTopic(1, { 'max.message.bytes': '100000' })
    const outbox = await open(topic)
    const owner = newOwner()
    const task = await outbox.claim(owner.pipeline, owner.task)
    const epoch = epochOf(owner, topic, 1, ['x'])
    const message = {
      ...epoch.messages[0]!,
      key: null,
      headers: [],
      value: new Uint8Array(outbox.messageBytesMax),
    }
    await task.publish({ ...epoch, messages: [message, message, message] })
    expect(await valuesIn(brokers, topic)).toHaveLength(3)
  })

  test('creates topics where it is told to', async () => {
    const topic = uniqueName('made')
    await open(topic, { createTopics: { partitions: 2, replicationFactor: 1 } })
    const admin = kafkaOf(brokers).admin()
    await admin.connect()
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
    await admin.disconnect()
    expect(topics[0]!.partitions).toHaveLength(2)
  })
})
