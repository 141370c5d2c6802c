import { afterEach, describe, expect, it } from 'vitest'
import { type FetchClient, Fetcher } from '../../../consumers/kafka/fetcher.ts'
import { PartitionFeed } from '../../../consumers/kafka/partition-feed.ts'
import { PipelineError } from '../../../src/errors.ts'
import type { FetchAnswer, FetchedPartition } from '../../../src/kafka/fetch.ts'
import { type RawRequest, resolveKafkaOptions, type TopicMetadata } from '../../../src/kafka/client.ts'
import { WireReader } from '../../../src/kafka/wire.ts'
import type { ReadResult } from '../../../src/ports.ts'
import { systemClock, systemEntropy } from '../../../src/runtime/system.ts'
import { batchBytes } from '../../kafka/batch-kit.ts'
import { collectingLog, type LogLine } from '../../support/collecting-log.ts'

const TOPIC_ID = '11111111-2222-3333-4444-555555555555'

interface Asked {
  readonly node: number
  readonly partition: number
  readonly offset: number
}

/** Two brokers whose answers a test decides. */
class FakeCluster implements FetchClient {
  readonly options = resolveKafkaOptions({ brokers: ['nowhere:1'] })
  readonly leaders = [1, 1]
  topicId = TOPIC_ID
  readonly asked: Asked[] = []
  /** What the broker says; by default records one at a time, for ever. */
  answer: (asked: Asked) => Partial<FetchedPartition> | PipelineError = ({ offset }) => recordAt(offset)

  async metadata(): ReturnType<FetchClient['metadata']> {
    const partitions = this.leaders.map((leader, partition) => ({
      partition,
      leader,
      leaderEpoch: 0,
      errorCode: 0,
    }))
    const topic: TopicMetadata = {
      topic: 't',
      topicId: this.topicId,
      isInternal: false,
      errorCode: 0,
      partitions,
    }
    return { clusterId: 'c', brokers: [], topics: [topic] }
  }

  async maxVersion(): Promise<number> {
    return 12
  }

  async listOffsets(
    queries: Parameters<FetchClient['listOffsets']>[0],
  ): ReturnType<FetchClient['listOffsets']> {
    return queries.map(({ topic, partition, timestampMs }) => ({
      topic,
      partition,
      timestampMs,
      errorCode: 0,
      offset: timestampMs === -2 ? 0 : 1_000,
    }))
  }

  async send<T>(node: number | null, request: RawRequest<T>): Promise<T> {
    await systemClock.sleep(1)
    const partitions: FetchedPartition[] = []
    for (const { partition, offset } of askedIn(request.encode())) {
      const asked = { node: node!, partition, offset }
      this.asked.push(asked)
      const answer = this.answer(asked)
      if (answer instanceof PipelineError) throw answer
      partitions.push({ ...EMPTY, partition, highWatermark: 1_000, lastStableOffset: 1_000, ...answer })
    }
    const answer: FetchAnswer = { errorCode: 0, partitions, memory: new ArrayBuffer(0) }
    return answer as T
  }

  recycle(): void {}
}

const EMPTY: FetchedPartition = {
  topic: 't',
  partition: 0,
  errorCode: 0,
  highWatermark: 0,
  lastStableOffset: 0,
  logStartOffset: 0,
  aborted: [],
  preferredReplica: -1,
  records: null,
}

const recordAt = (offset: number): Partial<FetchedPartition> => ({
  records: Buffer.from(batchBytes({ baseOffset: offset, records: [{ value: `v${offset}` }] })),
})

/** The partitions in a request of version 12. */
function askedIn(bytes: Buffer): { partition: number; offset: number }[] {
  const input = new WireReader(bytes, 4 + 4 + 4 + 4 + 1 + 4 + 4)
  const topics = input.compactArray(() => {
    input.compactString()
    const partitions = input.compactArray(() => {
      const partition = input.int32()
      input.int32()
      const offset = input.int64()
      input.raw(4 + 8 + 4)
      input.skipTags()
      return { partition, offset }
    })
    input.skipTags()
    return partitions
  })
  return topics.flat()
}

describe('a fetcher', () => {
  let stop: () => Promise<void> = async () => {}
  afterEach(() => stop())

  function start(cluster: FakeCluster, limits = {}) {
    const lines: LogLine[] = []
    const world = { clock: systemClock, entropy: systemEntropy, log: collectingLog(lines), acceptLoss: false }
    const fetcher = new Fetcher({
      client: cluster,
      world,
      isolation: 'read_committed',
      limits: {
        maxWaitMs: 5,
        minBytes: 1,
        answerBytes: 1e6,
        partitionBytes: 100,
        bufferBytes: 100,
        ...limits,
      },
    })
    stop = () => fetcher.close()
    const open = (partition: number, offset = 0): PartitionFeed => {
      const feed = new PartitionFeed({
        partition: { id: `t-${partition}`, topic: 't', partition },
        topicId: TOPIC_ID,
        offset,
        isolation: 'read_committed',
        clock: systemClock,
        readWaitMs: 200,
        changed: (changed) => fetcher.changed(changed),
      })
      fetcher.add(feed)
      return feed
    }
    return { open, lines }
  }

  async function offsetsOf(feed: PartitionFeed, count: number): Promise<number[]> {
    const offsets: number[] = []
    while (offsets.length < count) {
      const result: ReadResult = await feed.read(10)
      if (result.kind === 'records') offsets.push(...result.batch.offsets.subarray(0, result.batch.count))
    }
    return offsets.slice(0, count)
  }

  const upTo = (count: number, first = 0): number[] =>
    Array.from({ length: count }, (_, index) => first + index)

  it('follows a leader that moves, and a broker that is lost, without a gap or a repetition', async () => {
    const cluster = new FakeCluster()
    const { open } = start(cluster)
    const feed = open(0)
    expect(await offsetsOf(feed, 5)).toEqual(upTo(5))
    const lost = new PipelineError('KAFKA_UNREACHABLE', 'gone', { retryable: true })
    cluster.answer = ({ node, offset }) => (node === 1 ? { errorCode: 6 } : recordAt(offset))
    cluster.leaders[0] = 2
    const rest = await offsetsOf(feed, 20)
    cluster.answer = ({ node, offset }) => (node === 2 ? lost : recordAt(offset))
    cluster.leaders[0] = 1
    rest.push(...(await offsetsOf(feed, 20)))
    // What had been fetched of the first leader comes first.
    expect(rest).toEqual(upTo(40, rest[0]))
    expect(rest[0]).toBeLessThan(10)
  })

  it('goes on with the others while one partition fails, and says so when it lasts', async () => {
    const cluster = new FakeCluster()
    cluster.answer = ({ partition, offset }) => (partition === 0 ? { errorCode: 9 } : recordAt(offset))
    const { open, lines } = start(cluster)
    const failing = open(0)
    const other = open(1)
    expect(await offsetsOf(other, 50)).toEqual(upTo(50))
    await expect.poll(() => lines.filter(({ level }) => level === 'warn').length).toBe(1)
    const empty = await failing.read(10)
    expect(empty.kind === 'records' && empty.batch.count).toBe(0)
    cluster.answer = ({ offset }) => recordAt(offset)
    expect(await offsetsOf(failing, 3)).toEqual(upTo(3))
    expect(lines.some(({ level, message }) => level === 'info' && message === 'reading goes on')).toBe(true)
  })

  it('reads from the replica that the leader names', async () => {
    const cluster = new FakeCluster()
    cluster.answer = ({ node, offset }) => (node === 1 ? { preferredReplica: 2 } : recordAt(offset))
    const { open } = start(cluster)
    expect(await offsetsOf(open(0), 30)).toEqual(upTo(30))
    expect(cluster.asked.filter(({ node }) => node === 2).length).toBeGreaterThan(20)
  })

  it('asks for nothing that is full', async () => {
    const cluster = new FakeCluster()
    const { open } = start(cluster)
    open(0)
    const read = open(1)
    expect(await offsetsOf(read, 200)).toEqual(upTo(200))
    // The buffer of the other holds 100 bytes: two batches.
    expect(cluster.asked.filter(({ partition }) => partition === 0).length).toBeLessThan(5)
  })

  it('says that it is quiet at the end only, and not where an answer had no room', async () => {
    const cluster = new FakeCluster()
    cluster.answer = ({ offset }) =>
      offset < 3 ? recordAt(offset) : { highWatermark: 3, lastStableOffset: 3 }
    const { open } = start(cluster)
    const feed = open(0)
    expect(await offsetsOf(feed, 3)).toEqual(upTo(3))
    expect((await feed.read(10)).kind).toBe('quiet')
    cluster.answer = () => ({ highWatermark: 9, lastStableOffset: 9 })
    // One more that was on its way may come.
    await feed.read(10)
    expect((await feed.read(10)).kind).toBe('records')
  })

  it('fetches a broken batch once more, and then gives up', async () => {
    const cluster = new FakeCluster()
    let broken = 0
    const brokenAt = (offset: number): Partial<FetchedPartition> => {
      broken++
      const { records } = recordAt(offset)
      records![records!.length - 1]! ^= 1
      return { records: records! }
    }
    cluster.answer = ({ offset }) => (offset === 3 && broken === 0 ? brokenAt(offset) : recordAt(offset))
    const { open } = start(cluster)
    const feed = open(0)
    expect(await offsetsOf(feed, 6)).toEqual(upTo(6))
    cluster.answer = ({ offset }) => (offset >= 20 ? brokenAt(offset) : recordAt(offset))
    const offsets: number[] = []
    let error: unknown
    while (error === undefined) {
      try {
        offsets.push(...(await offsetsOf(feed, 1)))
      } catch (thrown) {
        error = thrown
      }
    }
    expect(error).toMatchObject({ code: 'KAFKA_BATCH_CORRUPT', retryable: false })
    expect(offsets.at(-1)).toBe(19)
  })

  it('gives a final error to the reader it concerns', async () => {
    const cluster = new FakeCluster()
    cluster.answer = ({ partition, offset }) => (partition === 0 ? { errorCode: 29 } : recordAt(offset))
    const { open } = start(cluster)
    const forbidden = open(0)
    const allowed = open(1)
    await expect(offsetsOf(forbidden, 1)).rejects.toMatchObject({
      code: 'KAFKA_AUTHORIZATION',
      retryable: false,
    })
    expect(await offsetsOf(allowed, 30)).toEqual(upTo(30))
  })

  it('goes on where a replica was behind, and ends where the topic has become another', async () => {
    const cluster = new FakeCluster()
    let calls = 0
    cluster.answer = ({ offset }) => (++calls === 3 ? { errorCode: 1 } : recordAt(offset))
    const { open } = start(cluster)
    const feed = open(0)
    expect(await offsetsOf(feed, 10)).toEqual(upTo(10))
    cluster.topicId = '99999999-2222-3333-4444-555555555555'
    cluster.answer = () => ({ errorCode: 103 })
    await expect(offsetsOf(feed, 1_000)).rejects.toMatchObject({ code: 'TOPIC_RECREATED' })
  })

  it('stops a read that waits when its reader is closed', async () => {
    const cluster = new FakeCluster()
    cluster.answer = () => ({})
    const { open } = start(cluster)
    const feed = open(0)
    const waiting = feed.read(10)
    await feed.close()
    expect((await waiting).kind).toBe('stop')
  })
})
