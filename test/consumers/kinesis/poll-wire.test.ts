import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import type { PollLimits } from '../../../consumers/kinesis/poll-limits.ts'
import type { KinesisClientApi } from '../../../src/kinesis/client.ts'
import type { KinesisOptions } from '../../../src/kinesis/options.ts'
import { systemClock } from '../../../src/runtime/system.ts'
import { clientOf, freshStream, resharder, type TestClient } from '../../kinesis/client-kit.ts'
import {
  anyOf,
  atFirst,
  type KinesisFaultProxy,
  sometimes,
  startKinesisFaults,
  throttleAbove,
} from '../../parts/kinesis-faults.ts'
import { findKinesis } from '../../parts/kinesis.ts'
import { poll, type PolledShard } from './poll-kit.ts'

const kinesis = await findKinesis()
const KEYS = Array.from({ length: 12 }, (_, number) => `key-${number}`)
/** Of a server that nobody pays for. */
const LIMITS: Partial<PollLimits> = {
  intervalMs: 20,
  idleIntervalMs: 100,
  readsPerSecondMax: 50,
  retryMsMin: 10,
  retryMsMax: 100,
}

/** Numbers the records of each key: 'key-3 17'. */
class Writer {
  readonly written: string[] = []
  readonly #api: KinesisClientApi
  readonly #stream: string
  readonly #counts = new Map<string, number>()

  constructor(api: KinesisClientApi, stream: string) {
    this.#api = api
    this.#stream = stream
  }

  async write(count: number): Promise<void> {
    const texts = Array.from({ length: count }, (_, index) => {
      const key = KEYS[index % KEYS.length]!
      const number = this.#counts.get(key) ?? 0
      this.#counts.set(key, number + 1)
      return `${key} ${number}`
    })
    const outcomes = await this.#api.putRecords(
      this.#stream,
      texts.map((text) => ({ partitionKey: text.split(' ')[0]!, data: new TextEncoder().encode(text) })),
    )
    if (outcomes.some(({ kind }) => kind === 'refused')) throw new Error('a record was refused')
    this.written.push(...texts)
  }
}

/** All shards of a stream, a child as soon as its parents have ended. */
class StreamReading {
  readonly shards = new Map<string, PolledShard>()
  readonly #begin: (shardId: string) => PolledShard
  readonly #parents: (shardId: string) => Promise<readonly string[]>

  constructor(
    begin: (shardId: string) => PolledShard,
    parents: (shardId: string) => Promise<readonly string[]>,
  ) {
    this.#begin = begin
    this.#parents = parents
  }

  read(shardId: string): void {
    if (this.shards.has(shardId)) return
    const shard = this.#begin(shardId)
    this.shards.set(shardId, shard)
    void this.#follow(shard)
  }

  texts(): string[] {
    return [...this.shards.values()].flatMap(({ texts }) => texts)
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      const failed = [...this.shards.values()].find(({ error }) => error !== null)
      if (failed !== undefined) throw failed.error!
      await systemClock.sleep(20)
    }
  }

  async #follow(shard: PolledShard): Promise<void> {
    await shard.until(({ error }) => shard.children() !== null || error !== null)
    for (const child of shard.children() ?? []) {
      const parents = await this.#parents(child)
      if (parents.every((parent) => this.shards.get(parent)?.children() != null)) this.read(child)
    }
  }
}

describe.skipIf(kinesis.kind === 'missing')('shards of a stand-in that are polled', () => {
  const endpoint = kinesis.kind === 'ready' ? kinesis.endpoint : ''
  let proxy: KinesisFaultProxy
  let direct: TestClient

  beforeAll(async () => {
    proxy = await startKinesisFaults(endpoint)
    direct = clientOf(endpoint)
  })
  afterAll(async () => {
    direct.api.close()
    await proxy.close()
  })

  async function read(
    stream: string,
    options: KinesisOptions = {},
  ): Promise<{ reading: StreamReading; client: TestClient }> {
    const client = clientOf(proxy.url, { requestTimeoutMs: 1_000, ...options })
    const reading = new StreamReading(
      (shardId) => poll({ api: client.api, clock: systemClock, place: { stream, shardId }, limits: LIMITS }),
      async (shardId) =>
        (await direct.api.listShards(stream)).find((shard) => shard.shardId === shardId)!.parents,
    )
    onTestFinished(() => {
      proxy.plan(() => null)
      for (const shard of reading.shards.values()) shard.stop()
      client.api.close()
    })
    for (const { shardId, parents } of await direct.api.listShards(stream)) {
      if (parents.length === 0) reading.read(shardId)
    }
    return { reading, client }
  }

  const counted = (reading: StreamReading): Record<string, number> => {
    const sum: Record<string, number> = {}
    for (const { counts } of reading.shards.values()) {
      for (const [kind, count] of Object.entries(counts.toJSON())) sum[kind] = (sum[kind] ?? 0) + count
    }
    return sum
  }

  /** Each record once, those of a key in the order in which they were put. */
  function expectAll(reading: StreamReading, { written }: Writer): void {
    const texts = reading.texts()
    expect(texts.toSorted()).toEqual(written.toSorted())
    for (const key of KEYS) {
      const mine = texts.filter((text) => text.startsWith(`${key} `))
      expect(mine).toEqual(mine.map((_, number) => `${key} ${number}`))
    }
  }

  it('give each record once, in the order of its key, through a split and a merge', async () => {
    const stream = await freshStream(direct.api, 2)
    const writer = new Writer(direct.api, stream)
    const { split, merge, close } = resharder(endpoint)
    onTestFinished(close)
    await writer.write(60)
    const { reading } = await read(stream)
    await split(stream, 'shardId-000000000000')
    await writer.write(60)
    await merge(stream, 'shardId-000000000003', 'shardId-000000000001')
    await writer.write(60)
    await reading.until(() => reading.texts().length >= writer.written.length)
    expectAll(reading, writer)
    const ends = [...reading.shards].map(([shardId, { answers }]) => [
      Number(shardId.slice(8)),
      answers.at(-1)!.children,
    ])
    expect(ends.toSorted(([one], [other]) => Number(one) - Number(other))).toEqual([
      [0, ['shardId-000000000002', 'shardId-000000000003']],
      [1, ['shardId-000000000004']],
      [2, null],
      [3, ['shardId-000000000004']],
      [4, null],
    ])
    expect(counted(reading)).toEqual({})
  })

  it('lose nothing and repeat nothing where reads are throttled, iterators expire and answers are lost', async () => {
    const stream = await freshStream(direct.api, 2)
    const writer = new Writer(direct.api, stream)
    const { split, close } = resharder(endpoint)
    onTestFinished(close)
    proxy.plan(
      anyOf(
        throttleAbove('GetRecords', 8),
        sometimes('GetRecords', 0.1, { kind: 'error', code: 'ExpiredIteratorException' }, 2),
        sometimes('GetRecords', 0.05, { kind: 'lost-answer' }, 3),
        sometimes('GetRecords', 0.05, { kind: 'cut-request' }, 4),
        sometimes('GetRecords', 0.05, { kind: 'cut-answer', afterBytes: 40 }, 5),
        sometimes('GetRecords', 0.05, { kind: 'truncate-answer', bytes: 100 }, 6),
        sometimes(
          'GetShardIterator',
          0.2,
          { kind: 'error', code: 'ProvisionedThroughputExceededException' },
          7,
        ),
        atFirst('GetRecords', 1, { kind: 'hang' }, 5),
      ),
    )
    const { reading } = await read(stream)
    for (let burst = 0; burst < 6; burst++) {
      await writer.write(24)
      if (burst === 2) await split(stream, 'shardId-000000000001')
      await reading.until(() => reading.texts().length >= writer.written.length - 24)
      if (burst === 4) proxy.cutConnections()
    }
    await reading.until(() => reading.texts().length >= writer.written.length)
    expectAll(reading, writer)
    const { throttled = 0, lostConnections = 0, expiredIterators = 0 } = counted(reading)
    expect(Math.min(throttled, lostConnections, expiredIterators)).toBeGreaterThan(0)
  })

  it('go on with other credentials when theirs have ended', async () => {
    const stream = await freshStream(direct.api)
    const writer = new Writer(direct.api, stream)
    let good = 0
    let given = 0
    proxy.plan(({ headers }) =>
      headers['x-amz-security-token'] === `token-${good}`
        ? null
        : {
            kind: 'error',
            code: 'ExpiredTokenException',
            message: 'The security token included in the request is expired',
          },
    )
    const { reading, client } = await read(stream, {
      credentials: async () => ({ accessKeyId: 'a', secretAccessKey: 'b', sessionToken: `token-${given}` }),
    })
    for (let round = 1; round <= 3; round++) {
      await writer.write(12)
      await reading.until(() => reading.texts().length === 12 * round)
      good++
      // Whoever gives them is late.
      const refused = proxy.seen.length + 5
      await reading.until(() => proxy.seen.length >= refused)
      given++
    }
    await writer.write(12)
    await reading.until(() => reading.texts().length === 48)
    expectAll(reading, writer)
    expect(client.counts.get('credentials')).toBeGreaterThanOrEqual(3)
  })
})
