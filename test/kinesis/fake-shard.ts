import { unreachable } from '../../src/errors.ts'
import type { ShardFacts, ShardStart, WireRecord } from '../../src/kinesis/api.ts'
import { refused } from './fake-faults.ts'

const READS_PER_SECOND = 5
const BYTES_PER_SECOND = 2_000_000

export interface HashRange {
  readonly start: bigint
  readonly end: bigint
}

/** One shard in memory. */
export class FakeShard {
  readonly shardId: string
  readonly parents: readonly string[]
  readonly range: HashRange
  readonly startingSequenceNumber: string
  readonly records: WireRecord[] = []
  /** Those that came of it; null while it is open. */
  children: readonly string[] | null = null
  closedMs = Number.POSITIVE_INFINITY
  /** Of this consumer's last subscription: when it was granted, and how to end it. */
  readonly subscriptions = new Map<string, { readonly atMs: number; end(): void }>()
  readonly #readsMs: number[] = []
  #paidMs = 0
  #waiting: (() => void)[] = []

  constructor(shardId: string, parents: readonly string[], range: HashRange, startingSequenceNumber: string) {
    this.shardId = shardId
    this.parents = parents
    this.range = range
    this.startingSequenceNumber = startingSequenceNumber
  }

  facts(): ShardFacts {
    return {
      shardId: this.shardId,
      parents: this.parents,
      isClosed: this.children !== null,
      startingSequenceNumber: this.startingSequenceNumber,
      hashKeyStart: String(this.range.start),
      hashKeyEnd: String(this.range.end),
    }
  }

  add(record: WireRecord): void {
    this.records.push(record)
    this.#ring()
  }

  close(children: readonly string[], nowMs: number): void {
    this.children = children
    this.closedMs = nowMs
    this.#ring()
  }

  /** Resolves when something has been added, or the shard has been closed. */
  changed(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  /** The index of the first record that a reader gets who starts there. */
  indexOf(start: ShardStart, nowMs: number): number {
    const first = (fits: (record: WireRecord) => boolean): number => {
      const index = this.records.findIndex(fits)
      return index < 0 ? this.records.length : index
    }
    switch (start.kind) {
      case 'trim-horizon':
        return 0
      case 'latest':
        return this.records.length
      case 'time':
        if (start.timeMs > nowMs) {
          throw refused('The timestampInMillis parameter cannot be greater than the currentTimestampInMillis')
        }
        return first(({ arrivalMs }) => arrivalMs >= start.timeMs)
      case 'at':
      case 'after': {
        const sequence = BigInt(start.sequenceNumber)
        if (sequence < BigInt(this.startingSequenceNumber)) {
          throw refused(`StartingSequenceNumber ${start.sequenceNumber} is not of ${this.shardId}`)
        }
        return first(({ sequenceNumber }) =>
          start.kind === 'at' ? BigInt(sequenceNumber) >= sequence : BigInt(sequenceNumber) > sequence,
        )
      }
      default:
        return unreachable(start)
    }
  }

  /** The first record that retention has left. */
  firstIndex(nowMs: number, retentionMs: number): number {
    const index = this.records.findIndex(({ arrivalMs }) => arrivalMs >= nowMs - retentionMs)
    return index < 0 ? this.records.length : index
  }

  slice(index: number, recordsMax: number, bytesMax: number): readonly WireRecord[] {
    const records: WireRecord[] = []
    let bytes = 0
    for (let at = index; at < this.records.length && records.length < recordsMax; at++) {
      const record = this.records[at]!
      bytes += sizeOf(record)
      if (bytes > bytesMax && records.length > 0) break
      records.push(record)
    }
    return records
  }

  /** True where Kinesis would throttle a read at this moment; else the read is counted. */
  isThrottled(nowMs: number): boolean {
    while (this.#readsMs.length > 0 && this.#readsMs[0]! <= nowMs - 1_000) this.#readsMs.shift()
    if (this.#readsMs.length >= READS_PER_SECOND || this.#paidMs - nowMs > 1_000) return true
    this.#readsMs.push(nowMs)
    return false
  }

  /** 2 MB a second: who has got 10 MB waits for five seconds. */
  spend(bytes: number, nowMs: number): void {
    this.#paidMs = Math.max(this.#paidMs, nowMs) + (bytes / BYTES_PER_SECOND) * 1_000
  }

  #ring(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const wake of waiting) wake()
  }
}

export function sizeOf({ data, partitionKey }: WireRecord): number {
  return data.length + partitionKey.length
}
