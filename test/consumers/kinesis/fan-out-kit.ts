import { randomBytes } from 'node:crypto'
import { onTestFinished } from 'vitest'
import { fanOut, type FanOutTimes } from '../../../consumers/kinesis/fan-out.ts'
import { FanOutConsumer } from '../../../consumers/kinesis/fan-out-consumer.ts'
import { kinesis } from '../../../consumers/kinesis/index.ts'
import type { ShardFacts, ShardStart } from '../../../src/kinesis/api.ts'
import { KinesisClientApi } from '../../../src/kinesis/client.ts'
import { KinesisCounts } from '../../../src/kinesis/counts.ts'
import type { PartitionReader, Source } from '../../../src/ports.ts'
import { systemClock, systemEntropy } from '../../../src/runtime/system.ts'
import { type Resharder, resharder } from '../../kinesis/client-kit.ts'
import { KINESIS_CREDENTIALS } from '../../parts/kinesis.ts'
import { rowsOf } from './kpl-kit.ts'
import { listLog, TestTarget } from './shard-target-kit.ts'

/** Of servers in a hurry. */
export const FRONT_TIMES = { subscriptionMs: 1_500, heldMs: 300, quietMs: 150, pollMs: 20 }
export const TIMES: Partial<FanOutTimes> = {
  callGapMs: 20,
  heldMs: 350,
  silenceMs: 3_000,
  regularMs: 700,
  retryMsMin: 20,
}

export interface Reading {
  readonly target: TestTarget
  readonly counts: KinesisCounts
  readonly log: string[]
  /** Resolves when the loop has ended. */
  readonly done: Promise<void>
}

/** A stream of its own, what was put into it, and readers of it. */
export class WireKit {
  readonly stream = `fan-out-${randomBytes(6).toString('hex')}`
  readonly api: KinesisClientApi
  /** Sequence numbers by shard, in order. */
  readonly put = new Map<string, string[]>()
  readonly shards: Resharder
  readonly #endpoint: string
  #written = 0

  /** `standIn`: where the stream is; `endpoint`: where it is read. */
  constructor(standIn: string, endpoint: string = standIn) {
    this.#endpoint = endpoint
    this.shards = resharder(standIn)
    this.api = this.#client()
    onTestFinished(() => this.shards.close())
  }

  async create(shards = 1): Promise<readonly ShardFacts[]> {
    await this.api.createStream(this.stream, shards)
    return await this.api.listShards(this.stream)
  }

  async write(count: number, bytes = 20): Promise<void> {
    const entries = Array.from({ length: count }, () => ({
      partitionKey: `key-${this.#written++}`,
      data: randomBytes(bytes),
    }))
    for (const outcome of await this.api.putRecords(this.stream, entries)) {
      if (outcome.kind === 'refused') throw new Error(outcome.message)
      const { shardId, sequenceNumber } = outcome
      this.put.set(shardId, [...(this.put.get(shardId) ?? []), sequenceNumber])
    }
  }

  /** A reader with a client of its own, as another process has it. */
  read(
    shardId: string,
    { times = TIMES, start }: { readonly times?: Partial<FanOutTimes>; readonly start?: ShardStart } = {},
  ): Reading {
    const counts = new KinesisCounts()
    const log: string[] = []
    const world = { clock: systemClock, entropy: systemEntropy, log: listLog(log) }
    const api = this.#client()
    const stream = (): ReturnType<typeof api.describeStream> => api.describeStream(this.stream)
    const consumer = new FanOutConsumer({ ...world, api, stream, name: 'taxi' })
    const target = new TestTarget({ stream: this.stream, shardId }, start)
    const done = fanOut({ ...world, api, consumer, counts, times })(target)
    onTestFinished(async () => {
      target.stop()
      await done
    })
    return { target, counts, log, done }
  }

  /** As a pipeline has it. */
  source(): Source {
    const binding = kinesis({
      ...this.#place(),
      stream: this.stream,
      registry: { description: 'none', schemaById: async () => null },
      fanOut: { consumer: 'taxi' },
    })
    const log = listLog([])
    return binding.open({ clock: systemClock, entropy: systemEntropy, log, acceptLoss: false })
  }

  #place(): { endpoint: string; region: string; credentials: typeof KINESIS_CREDENTIALS } {
    return { endpoint: this.#endpoint, region: 'eu-west-1', credentials: KINESIS_CREDENTIALS }
  }

  #client(): KinesisClientApi {
    const world = { clock: systemClock, log: listLog([]) }
    const options = this.#place()
    const api = new KinesisClientApi(options, world)
    onTestFinished(() => api.close())
    return api
  }
}

/** Until the reader has as many records as were put, or has been told of an end. */
export async function caughtUp({ target }: Reading, put: readonly string[] | undefined): Promise<void> {
  await target.until(() => target.sequenceNumbers.length >= (put?.length ?? 0) || target.failure !== null)
}

/** Reads a source as the runtime does, each shard when its parents are over, until there are so many values. */
export async function readValues(source: Source, count: () => number): Promise<readonly string[]> {
  const values: string[] = []
  const readers = new Map<string, PartitionReader>()
  const ended = new Set<string>()
  const ends = new Map<string, string>()
  while (values.length < count()) {
    for (const partition of await source.partitions()) {
      const { id, parents = [] } = partition
      if (ended.has(id) || readers.has(id) || !parents.every((parent) => ended.has(parent))) continue
      const places = parents.map((parent) => ends.get(parent)!)
      readers.set(id, await source.open(partition, null, places))
    }
    for (const [id, reader] of readers) {
      const result = await reader.read(100)
      if (result.kind === 'records') values.push(...rowsOf(result.batch).map(({ value }) => value))
      if (result.kind !== 'handed-on') continue
      ended.add(id)
      ends.set(id, result.position)
      readers.delete(id)
      await reader.close()
    }
  }
  for (const reader of readers.values()) await reader.close()
  return values
}
