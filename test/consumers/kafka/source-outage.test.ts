import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createTopic, findKafkaPackages, type Kafka, startKafka } from '../../parts/kafka.ts'
import { name, openSource, readFirst, readSome, type SeenRecord, send } from './source-kit.ts'
import type { LogLine } from '../../support/collecting-log.ts'

const packages = await findKafkaPackages()

describe.skipIf(packages.kind === 'missing')('a broker of its own', () => {
  let broker: Kafka

  beforeAll(async () => {
    const properties = { 'log.cleaner.backoff.ms': '100' }
    broker = await startKafka({ properties })
  })

  afterAll(() => broker.dispose())

  const newTopic = async (config: Record<string, string> = {}): Promise<string> => {
    const topic = `outage-${name()}`
    await createTopic(broker.brokers, topic, { config })
    return topic
  }
  const numbered = (first: number, count: number): { value: string }[] =>
    Array.from({ length: count }, (_, index) => ({ value: `${first + index}` }))

  it.each(['killed', 'paused'] as const)(
    'that is %s in the middle costs time, and no record',
    async (what) => {
      const topic = await newTopic()
      await send(broker.brokers, topic, numbered(0, 300))
      const lines: LogLine[] = []
      const source = openSource({
        brokers: [broker.brokers],
        topic,
        lines,
        // A broker that is paused keeps its connections: only time tells.
        requestTimeoutMs: 1_000,
        connectTimeoutMs: 1_000,
        fetch: { partitionBytes: 500, bufferBytes: 500 },
      })
      const [partition] = await source.partitions()
      const reader = await source.open(partition!, null)
      const seen: SeenRecord[] = await readSome(reader, (records) => records.length >= 10, 7)
      if (what === 'paused') broker.pause()
      else await broker.kill()
      // What was fetched is still there; then a read is only empty, so that the open epoch can be cut.
      for (let empty = 0; empty < 10; ) {
        const result = await reader.read(1_000)
        if (result.kind !== 'records') continue
        if (result.batch.count === 0) empty++
        for (let row = 0; row < result.batch.count; row++) {
          seen.push({ value: String(result.batch.offsets[row]) } as SeenRecord)
        }
      }
      if (what === 'paused') broker.resume()
      else await broker.restart()
      await send(broker.brokers, topic, numbered(300, 50))
      seen.push(...(await readSome(reader, (records) => seen.length + records.length >= 350)))
      expect(seen.map(({ value }) => value)).toEqual(numbered(0, 350).map(({ value }) => value))
      expect(lines.filter(({ level }) => level === 'error')).toEqual([])
      await source.close()
    },
  )

  it('that compacts a topic leaves gaps, which are read over', async () => {
    const topic = await newTopic({
      'cleanup.policy': 'compact',
      'segment.ms': '50',
      'min.cleanable.dirty.ratio': '0.01',
      'min.compaction.lag.ms': '0',
      'delete.retention.ms': '100000',
    })
    for (let round = 0; round < 5; round++) {
      await send(broker.brokers, topic, [
        { key: 'a', value: `a${round}` },
        { key: 'b', value: round === 4 ? null : `b${round}` },
      ])
    }
    // The newest segment is never compacted: another record closes the one before it.
    await expect
      .poll(
        async () => {
          await send(broker.brokers, topic, [{ key: 'tick', value: 'x' }])
          const records = await readFirst({ brokers: [broker.brokers], topic })
          return records
            .filter(({ key }) => key !== 'tick')
            .map(({ key, value, offset }) => [offset, key, value])
        },
        { timeout: 30_000, interval: 300 },
      )
      .toEqual([
        [8, 'a', 'a4'],
        [9, 'b', null],
      ])
  })
})
