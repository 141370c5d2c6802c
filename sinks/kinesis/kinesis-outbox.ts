import { assert } from '../../src/errors.ts'
import type { KinesisApi } from '../../src/kinesis/api.ts'
import { KinesisClientApi } from '../../src/kinesis/client.ts'
import { kinesisClusterId } from '../../src/kinesis/cluster-id.ts'
import { KinesisCounts } from '../../src/kinesis/counts.ts'
import type { KinesisOptions } from '../../src/kinesis/options.ts'
import type { Outbox, OutboxTask, SourceWorld, TopicEncoder, TopicShape } from '../../src/ports.ts'
import type { StreamContent } from './content.ts'
import { KinesisOutboxTask } from './kinesis-outbox-task.ts'
import { openStreams } from './open-streams.ts'
import { PutReport } from './put-report.ts'
import type { ResolvedStreamOptions } from './stream-options.ts'

export interface KinesisOutboxOptions extends ResolvedStreamOptions {
  readonly kinesis: KinesisOptions
  readonly world: SourceWorld
  readonly content: StreamContent
}

/**
 * Kinesis streams, at least once: there are no transactions, nobody can be fenced, and nothing says how far a task has come but its chain. What the chain does not know
 * to be published is sent again after every takeover, with the ids that it had before.
 */
export class KinesisOutbox implements Outbox {
  readonly repeats = true
  readonly #options: KinesisOutboxOptions
  readonly #api: KinesisApi
  readonly #counts = new KinesisCounts()
  readonly #report: PutReport
  #messageBytesMax = 0
  #clusterId: string | null = null

  constructor(options: KinesisOutboxOptions, api?: KinesisApi) {
    this.#options = options
    this.#api = api ?? new KinesisClientApi(options.kinesis, options.world, this.#counts)
    this.#report = new PutReport(this.#counts, this.#api.description, options.world)
  }

  get description(): string {
    return this.#api.description
  }

  /** Known when the streams are open. */
  get messageBytesMax(): number {
    return this.#messageBytesMax
  }

  async open(topics: readonly string[], shapes: readonly TopicShape[]): Promise<readonly TopicEncoder[]> {
    const { world, createStreams, content } = this.#options
    const names = [...new Set(topics)].sort()
    assert(names.length > 0, 'an outbox has streams')
    const streams = await openStreams(names, { api: this.#api, log: world.log, createStreams })
    const recordBytesMax = Math.min(...streams.map((stream) => stream.recordBytesMax))
    this.#messageBytesMax = content.messageBytesMax(recordBytesMax)
    this.#clusterId = kinesisClusterId(streams[0]!.arn)
    return content.encoders(shapes)
  }

  /** Known when the streams are open. */
  clusterId(): Promise<string> {
    assert(this.#clusterId !== null, 'an outbox is opened before it is asked for its cluster')
    return Promise.resolve(this.#clusterId)
  }

  claim(): Promise<OutboxTask> {
    const { world, content } = this.#options
    const [api, counts, report] = [this.#api, this.#counts, this.#report]
    return Promise.resolve(new KinesisOutboxTask({ api, counts, report, world, content }))
  }

  close(): Promise<void> {
    this.#report.say()
    this.#api.close()
    return Promise.resolve()
  }
}
