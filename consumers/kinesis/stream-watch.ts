import { PipelineError } from '../../src/errors.ts'
import type { KinesisApi, ShardFacts, StreamFacts } from '../../src/kinesis/api.ts'
import type { Clock, StopSignal } from '../../src/ports.ts'
import { streamRecreated } from './source-error.ts'

/** The stream and its shards, as they were at that moment. */
export interface StreamLook {
  readonly atMs: number
  readonly facts: StreamFacts
  readonly shards: readonly ShardFacts[]
}

/** Shards that are opened one after the other need not each have a list of their own: Kinesis answers ten to twenty such calls a second. */
const LOOK_MS = 2_000
const RETRY_MS = 1_000

/** What a source knows of its stream: which one it is, and its shards. */
export class StreamWatch {
  readonly #api: Pick<KinesisApi, 'describeStream' | 'listShards'>
  readonly #stream: string
  readonly #clock: Clock
  #last: StreamLook | null = null
  #looking: Promise<StreamLook> | null = null
  /** All that were ever listed here. */
  readonly #shards = new Map<string, ShardFacts>()

  constructor(api: Pick<KinesisApi, 'describeStream' | 'listShards'>, stream: string, clock: Clock) {
    this.#api = api
    this.#stream = stream
    this.#clock = clock
  }

  get last(): StreamLook | null {
    return this.#last
  }

  /** Ids of all shards that were ever listed here. */
  get heard(): Iterable<string> {
    return this.#shards.keys()
  }

  /** As it is now; those who ask meanwhile get the same. */
  look(): Promise<StreamLook> {
    this.#looking ??= this.#lookNow().finally(() => (this.#looking = null))
    return this.#looking
  }

  /** As it was a moment ago, if that has the shard. */
  async lookFor(shardId: string): Promise<StreamLook> {
    const last = this.#last
    const isFresh = last !== null && this.#clock.nowMs() - last.atMs < LOOK_MS
    return isFresh && last.shards.some((listed) => listed.shardId === shardId) ? last : this.look()
  }

  /** Those that have it among their parents; [] where none is listed. */
  async childrenOf(parent: string): Promise<readonly string[]> {
    await this.look()
    const all = [...this.#shards.values()]
    return all.filter(({ parents }) => parents.includes(parent)).map(({ shardId }) => shardId)
  }

  /** Whether the stream is there, and does not list the shard any more. Goes on asking while Kinesis is away; false where that cannot be told. */
  async isGone(shardId: string, createdMs: number, signal: StopSignal): Promise<boolean> {
    while (!signal.aborted) {
      try {
        const { facts, shards } = await this.look()
        return facts.createdMs === createdMs && !shards.some((listed) => listed.shardId === shardId)
      } catch (error) {
        if (!(error instanceof PipelineError && error.retryable)) return false
        await this.#clock.sleep(RETRY_MS, signal)
      }
    }
    return false
  }

  /** Of an error that ends the reading of a shard: STREAM_RECREATED where that is behind it. */
  async explain(error: PipelineError, createdMs: number): Promise<PipelineError> {
    if (error.code !== 'STREAM_NOT_FOUND' && error.code !== 'KINESIS_REFUSED') return error
    try {
      const facts = await this.#api.describeStream(this.#stream)
      return facts.createdMs === createdMs ? error : streamRecreated(this.#stream, createdMs, facts.createdMs)
    } catch {
      return error
    }
  }

  /** The stream that is read. Throws STREAM_RECREATED where there is another one of its name. */
  async sameStream(): Promise<StreamFacts> {
    const facts = await this.#api.describeStream(this.#stream)
    const createdMs = this.#last?.facts.createdMs ?? facts.createdMs
    if (facts.createdMs !== createdMs) throw streamRecreated(this.#stream, createdMs, facts.createdMs)
    return facts
  }

  async #lookNow(): Promise<StreamLook> {
    const atMs = this.#clock.nowMs()
    const [facts, shards] = await Promise.all([
      this.#api.describeStream(this.#stream),
      this.#api.listShards(this.#stream),
    ])
    this.#last = { atMs, facts, shards }
    for (const shard of shards) this.#shards.set(shard.shardId, shard)
    return this.#last
  }
}
