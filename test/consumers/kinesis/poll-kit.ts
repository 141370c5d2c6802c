import { POLL_LIMITS, type PollLimits } from '../../../consumers/kinesis/poll-limits.ts'
import { pollShard } from '../../../consumers/kinesis/poll.ts'
import type { ShardTarget } from '../../../consumers/kinesis/shard-fetch.ts'
import type { PipelineError } from '../../../src/errors.ts'
import type { KinesisApi, ShardAnswer, ShardPlace, ShardStart } from '../../../src/kinesis/api.ts'
import { KinesisCounts } from '../../../src/kinesis/counts.ts'
import type { Clock, Entropy } from '../../../src/ports.ts'
import { collectingLog, type LogLine } from '../../support/collecting-log.ts'

/** In the middle, always: jitter that tests can reckon with. */
export const MIDDLE: Entropy = { nonce: () => 'nonce0nonce0', random: () => 0.5 }

export class PolledShard implements ShardTarget {
  readonly place: ShardPlace
  start: ShardStart
  readonly #stop = new AbortController()
  readonly signal: AbortSignal = this.#stop.signal
  readonly answers: ShardAnswer[] = []
  readonly texts: string[] = []
  readonly counts = new KinesisCounts()
  readonly lines: LogLine[] = []
  error: PipelineError | null = null
  isDone = false
  #full: Promise<void> | null = null
  #watching: (() => void)[] = []

  constructor(place: ShardPlace, start: ShardStart) {
    this.place = place
    this.start = start
  }

  async room(): Promise<void> {
    await this.#full
  }

  accept(answer: ShardAnswer): void {
    this.answers.push(answer)
    const decoder = new TextDecoder()
    this.texts.push(...answer.records.map(({ data }) => decoder.decode(data)))
    const last = answer.records.at(-1)
    if (last !== undefined) this.start = { kind: 'after', sequenceNumber: last.sequenceNumber }
    this.#tell()
  }

  fail(error: PipelineError): void {
    this.error = error
    this.#tell()
  }

  /** Looks at each answer. */
  async until(condition: (shard: this) => boolean): Promise<void> {
    while (!condition(this)) await new Promise<void>((resolve) => this.#watching.push(resolve))
  }

  /** Of the shard, once it has ended. */
  children(): readonly string[] | null {
    return this.answers.at(-1)?.children ?? null
  }

  /** Until the promise is kept, nobody has room. */
  fillUntil(free: Promise<void>): void {
    this.#full = free
  }

  stop(): void {
    this.#stop.abort()
  }

  #tell(): void {
    const watching = this.#watching
    this.#watching = []
    for (const look of watching) look()
  }
}

export interface PollTestOptions {
  readonly api: KinesisApi
  readonly clock: Clock
  readonly place: ShardPlace
  readonly start?: ShardStart
  readonly limits?: Partial<PollLimits>
}

/** Polls a shard in the background. */
export function poll({ api, clock, place, start, limits }: PollTestOptions): PolledShard {
  const shard = new PolledShard(place, start ?? { kind: 'trim-horizon' })
  const fetch = pollShard({
    api,
    clock,
    entropy: MIDDLE,
    log: collectingLog(shard.lines),
    counts: shard.counts,
    limits: { ...POLL_LIMITS, ...limits },
  })
  void fetch(shard).then(() => (shard.isDone = true))
  return shard
}
