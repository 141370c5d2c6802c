import { Partitioners } from 'kafkajs'
import { describe, expect, it } from 'vitest'
import { createTopic, findKafka } from '../../parts/kafka.ts'
import {
  name,
  openSource,
  readFirst,
  readPartition,
  readSome,
  send,
  testClient,
  thrownBy,
} from './source-kit.ts'
import type { LogLine } from '../../support/collecting-log.ts'

const found = await findKafka()
const skipped = found.kind === 'missing' ? found.reason : null
const brokers = found.kind === 'missing' ? '' : found.brokers
const at = { brokers: [brokers] }

async function newTopic(partitions = 1, config: Record<string, string> = {}): Promise<string> {
  const topic = `source-${name()}`
  await createTopic(brokers, topic, { partitions, config })
  return topic
}

async function withAdmin<T>(
  act: (admin: ReturnType<ReturnType<typeof testClient>['admin']>) => Promise<T>,
): Promise<T> {
  const admin = testClient(brokers).admin()
  await admin.connect()
  try {
    return await act(admin)
  } finally {
    await admin.disconnect()
  }
}

const numbered = (count: number, first = 0): { value: string }[] =>
  Array.from({ length: count }, (_, index) => ({ value: `${first + index}` }))
const valuesOf = (records: readonly { readonly value: string | null }[]): (string | null)[] =>
  records.map(({ value }) => value)

describe.skipIf(skipped !== null)(
  `a topic of a real broker${skipped === null ? '' : ` (${skipped})`}`,
  () => {
    it.each(['uncompressed', 'gzip', 'snappy', 'lz4', 'zstd'])('is read: %s', async (compression) => {
      const topic = await newTopic(1, { 'compression.type': compression })
      const long = 'long '.repeat(10_000)
      await send(brokers, topic, [
        { key: 'a', value: 'one', timestamp: '1700000000000', headers: { h: 'x', empty: '' } },
        { key: null, value: 'two', timestamp: '1700000000500' },
        { key: 'b', value: null, timestamp: '1699999999999' },
        { key: 'c', value: long, timestamp: '1700000000000' },
      ])
      const records = await readFirst({ ...at, topic })
      expect(
        records.map(({ offset, key, value, timestampMs, headers }) => [
          offset,
          key,
          value,
          timestampMs,
          headers,
        ]),
      ).toEqual([
        [
          0,
          'a',
          'one',
          1_700_000_000_000,
          [
            ['h', 'x'],
            ['empty', ''],
          ],
        ],
        [1, null, 'two', 1_700_000_000_500, null],
        [2, 'b', null, 1_699_999_999_999, null],
        [3, 'c', long, 1_700_000_000_000, null],
      ])
    })

    it('is gone on with from the position after any record', async () => {
      const topic = await newTopic()
      await send(brokers, topic, numbered(20))
      const all = await readFirst({ ...at, topic })
      expect(valuesOf(all)).toEqual(valuesOf(numbered(20)))
      const source = openSource({ ...at, topic })
      const [partition] = await source.partitions()
      for (const index of [0, 7, 18, 19]) {
        const rest = await readPartition(source, partition!, all[index]!.positionAfter)
        expect(valuesOf(rest)).toEqual(valuesOf(numbered(19 - index, index + 1)))
      }
      await source.close()
    })

    it('has arrival times of the broker or of the reader, as its timestamps are of the broker or of the producer', async () => {
      const earlyMs = Date.now()
      const ofProducer = await newTopic()
      const ofBroker = await newTopic(1, { 'message.timestamp.type': 'LogAppendTime' })
      for (const topic of [ofProducer, ofBroker])
        await send(brokers, topic, [{ value: 'x', timestamp: '1000' }])
      const [made] = await readFirst({ ...at, topic: ofProducer })
      const [appended] = await readFirst({ ...at, topic: ofBroker })
      expect(made!.timestampMs).toBe(1_000)
      expect(made!.arrivalMs).toBeGreaterThanOrEqual(earlyMs)
      expect(appended!.timestampMs).toBeGreaterThanOrEqual(earlyMs)
      expect(appended!.arrivalMs).toBe(appended!.timestampMs)
    })

    it('shows committed transactions only, or all of them', async () => {
      const topic = await newTopic()
      const producer = testClient(brokers).producer({
        createPartitioner: Partitioners.DefaultPartitioner,
        transactionalId: name(),
        idempotent: true,
        maxInFlightRequests: 1,
      })
      await producer.connect()
      for (const [value, ending] of [
        ['a', 'commit'],
        ['b', 'abort'],
        ['c', 'abort'],
        ['d', 'commit'],
      ] as const) {
        const transaction = await producer.transaction()
        await transaction.send({ topic, messages: [{ value: `${value}1` }, { value: `${value}2` }] })
        await transaction[ending]()
      }
      const open = await producer.transaction()
      await open.send({ topic, messages: [{ value: 'open' }] })
      await send(brokers, topic, [{ value: 'behind the open one' }])
      const committed = await readFirst({ ...at, topic })
      const all = await readFirst({ ...at, topic, isolation: 'read_uncommitted' })
      expect(valuesOf(committed)).toEqual(['a1', 'a2', 'd1', 'd2'])
      expect(valuesOf(all)).toEqual([
        'a1',
        'a2',
        'b1',
        'b2',
        'c1',
        'c2',
        'd1',
        'd2',
        'open',
        'behind the open one',
      ])
      await open.commit()
      await producer.disconnect()
      // Behind the marker: what is known to hold no record of ours is not read again.
      expect(committed.at(-1)!.positionAfter).toMatch(/:12$/)
      const rest = await readFirst({ ...at, topic }, committed.at(-1)!.positionAfter)
      expect(valuesOf(rest)).toEqual(['open', 'behind the open one'])
    })

    it('is begun at the earliest record, at the latest, or at a time', async () => {
      const topic = await newTopic()
      await send(brokers, topic, [
        { value: 'old', timestamp: '1000' },
        { value: 'exact', timestamp: '2000' },
        { value: 'young', timestamp: '3000' },
      ])
      const from = async (start: 'earliest' | 'latest' | Date): Promise<unknown> =>
        valuesOf(await readFirst({ ...at, topic, from: start }))
      expect(await from('earliest')).toEqual(['old', 'exact', 'young'])
      expect(await from('latest')).toEqual([])
      expect(await from(new Date(2_000))).toEqual(['exact', 'young'])
      expect(await from(new Date(3_001))).toEqual([])
    })

    it('gives the records of a partition that was added while it was read from their beginning', async () => {
      const topic = await newTopic()
      await send(brokers, topic, [{ value: 'before', partition: 0 }])
      const source = openSource({ ...at, topic, from: 'latest' })
      const [first] = await source.partitions()
      await withAdmin((admin) => admin.createPartitions({ topicPartitions: [{ topic, count: 2 }] }))
      await expect.poll(async () => (await source.partitions()).length).toBe(2)
      await send(brokers, topic, [{ value: 'in the new one', partition: 1 }])
      const [, second] = await source.partitions()
      expect(valuesOf(await readPartition(source, first!))).toEqual([])
      expect(valuesOf(await readPartition(source, second!))).toEqual(['in the new one'])
      await source.close()
    })

    it('does not wait for a partition that nobody reads', async () => {
      const topic = await newTopic(2)
      const all = Array.from({ length: 2_000 }, (_, index) => `${index} `.padEnd(1_000, 'x'))
      for (const partition of [0, 1]) {
        const messages = all.map((value) => ({ value, partition }))
        await send(
          brokers,
          topic,
          ...Array.from({ length: 40 }, (_, index) => messages.slice(index * 50, index * 50 + 50)),
        )
      }
      // Large enough that the memory of answers is used again.
      const limits = { partitionBytes: 100_000, answerBytes: 200_000, bufferBytes: 200_000 }
      const source = openSource({ ...at, topic, fetch: limits })
      const [full, read] = await source.partitions()
      const held = await source.open(full!, null)
      const reader = await source.open(read!, null)
      expect(valuesOf(await readSome(reader, undefined, 70))).toEqual(all)
      expect(valuesOf(await readSome(held, undefined, 70))).toEqual(all)
      await source.close()
    })

    it('says what is wrong with a name, a pattern, an address', async () => {
      const missing = await thrownBy(() => readFirst({ ...at, topic: `missing-${name()}` }))
      expect([missing.code, missing.retryable]).toEqual(['TOPIC_NOT_FOUND', false])
      const none = await thrownBy(() => readFirst({ ...at, pattern: /^no-topic-is-called-this$/ }))
      expect(none.code).toBe('TOPIC_NOT_FOUND')
      const nobody = await thrownBy(() => readFirst({ brokers: ['127.0.0.1:1'], topic: 'x' }))
      expect([nobody.code, nobody.retryable]).toEqual(['KAFKA_UNREACHABLE', false])
      expect(nobody.message).toContain('127.0.0.1:1')
    })

    it('is chosen by a list or a pattern, whose partitions have ids of their own', async () => {
      const prefix = `many-${name()}`
      for (const end of ['b', 'a']) await createTopic(brokers, `${prefix}.${end}`, { partitions: 2 })
      const idsOf = async (choice: object): Promise<string[]> => {
        const source = openSource({ ...at, ...choice })
        const ids = (await source.partitions()).map(({ id }) => id)
        await source.close()
        return ids
      }
      const expected = [`${prefix}.a-0`, `${prefix}.a-1`, `${prefix}.b-0`, `${prefix}.b-1`]
      expect(await idsOf({ topics: [`${prefix}.b`, `${prefix}.a`] })).toEqual(expected)
      expect(await idsOf({ pattern: new RegExp(`^${prefix}`, 'g') })).toEqual(expected)
    })
  },
)

describe.skipIf(skipped !== null)('a topic that has changed behind the reader', () => {
  const deleteRecords = (topic: string, offset: string): Promise<void> =>
    withAdmin(async (admin) => {
      // Without the topic's metadata kafkajs refuses to delete.
      await admin.fetchTopicOffsets(topic)
      await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset }] })
    })

  it('whose records are gone is refused with their number, or gone on with where that is accepted', async () => {
    const topic = await newTopic()
    await send(brokers, topic, numbered(10))
    const all = await readFirst({ ...at, topic })
    await deleteRecords(topic, '7')
    const position = all[2]!.positionAfter
    const error = await thrownBy(() => readFirst({ ...at, topic }, position))
    expect([error.code, error.retryable]).toEqual(['POSITION_EXPIRED', false])
    expect(error.message).toContain('4 offsets are gone')
    expect(error.advice).toContain('--accept-loss')
    const lines: LogLine[] = []
    const left = await readFirst({ ...at, topic, acceptLoss: true, lines }, position)
    expect(valuesOf(left)).toEqual(['7', '8', '9'])
    expect(lines.find(({ level }) => level === 'warn')?.fields).toMatchObject({ lost: 4 })
  })

  it('whose records go while it is read is refused behind those that were fetched', async () => {
    const topic = await newTopic()
    const value = 'x'.repeat(1_000)
    const batch = Array.from({ length: 10 }, () => ({ value }))
    await send(brokers, topic, ...Array.from({ length: 40 }, () => batch))
    const fetch = { partitionBytes: 20_000, bufferBytes: 40_000 }
    const source = openSource({ ...at, topic, fetch })
    const [partition] = await source.partitions()
    const reader = await source.open(partition!, null)
    const offsets: number[] = []
    const error = await thrownBy(async () => {
      for (;;) {
        const result = await reader.read(15)
        if (result.kind !== 'records') continue
        const { batch } = result
        offsets.push(...batch.offsets.subarray(0, batch.count))
        // A reader that is slow: the buffer is full, and what lies behind it goes.
        if (offsets.length === batch.count) await deleteRecords(topic, '390')
      }
    })
    expect(error.code).toBe('POSITION_EXPIRED')
    expect(offsets).toEqual(offsets.map((_, index) => index))
    expect(error.message).toContain(`${390 - offsets.length} offsets are gone`)
    await source.close()
  })

  it('that ends before the position is refused', async () => {
    const topic = await newTopic()
    await send(brokers, topic, numbered(2))
    const [first] = await readFirst({ ...at, topic })
    const position = `${first!.positionAfter.split(':')[0]}:3`
    const error = await thrownBy(() => readFirst({ ...at, topic }, position))
    expect([error.code, error.retryable]).toEqual(['POSITION_BEYOND_END', false])
  })

  it('that was deleted and created again is refused at the start, and while it is read', async () => {
    const topic = await newTopic()
    await send(brokers, topic, numbered(5))
    const source = openSource({ ...at, topic })
    const [partition] = await source.partitions()
    const reader = await source.open(partition!, null)
    const records = await readSome(reader, (seen) => seen.length === 5)
    await withAdmin((admin) => admin.deleteTopics({ topics: [topic] }))
    await expect
      .poll(async () => (await withAdmin((admin) => admin.listTopics())).includes(topic))
      .toBe(false)
    await createTopic(brokers, topic)
    await send(brokers, topic, numbered(9, 100))
    const running = await thrownBy(async () => {
      for (;;) {
        const result = await reader.read(100)
        if (result.kind === 'records') expect(result.batch.count).toBe(0)
      }
    })
    expect([running.code, running.retryable]).toEqual(['TOPIC_RECREATED', false])
    const starting = await thrownBy(() => source.open(partition!, records[2]!.positionAfter))
    expect(starting.code).toBe('TOPIC_RECREATED')
    expect(starting.advice).toContain('--fresh')
    await source.close()
  })

  it('that was deleted ends the reading', async () => {
    const topic = await newTopic()
    const source = openSource({ ...at, topic })
    const [partition] = await source.partitions()
    const reader = await source.open(partition!, null)
    await readSome(reader)
    await withAdmin((admin) => admin.deleteTopics({ topics: [topic] }))
    const error = await thrownBy(async () => {
      for (;;) await reader.read(100)
    })
    expect([error.code, error.retryable]).toEqual(['TOPIC_NOT_FOUND', false])
    await source.close()
  })
})

describe.skipIf(skipped !== null)('the users’ group', () => {
  it('is never asked where to go on: a difference is explained in the log', async () => {
    const topic = await newTopic()
    await send(brokers, topic, numbered(5))
    const groupId = `group-${name()}`
    await withAdmin((admin) =>
      admin.setOffsets({ groupId, topic, partitions: [{ partition: 0, offset: '4' }] }),
    )
    const lines: LogLine[] = []
    const records = await readFirst({ ...at, topic, groupId, lines })
    expect(records).toHaveLength(5)
    const said = lines.find(({ level, fields }) => level === 'info' && fields['groupOffset'] !== undefined)
    expect(said?.fields).toMatchObject({ groupOffset: 4, offset: 0, group: groupId })
  })

  it('gets the offset of a position, in its own cluster', async () => {
    const topic = await newTopic()
    await send(brokers, topic, numbered(1))
    const source = openSource({ ...at, topic, groupId: 'riders' })
    const [partition] = await source.partitions()
    const [record] = await readPartition(source, partition!)
    const { clusterId, ...rest } = source.groupOffset(partition!, record!.positionAfter)!
    expect(rest).toEqual({ groupId: 'riders', topic, partition: 0, offset: '1' })
    expect(clusterId).toMatch(/^\S{20,}$/)
    await source.close()
  })
})
