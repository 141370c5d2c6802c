import type { ShardPlace } from '../../src/kinesis/api.ts'
import type { Clock } from '../../src/ports.ts'

/** Of one shard. Kinesis allows five reads and 2 MB a second, to all who read it by polling together. */
export interface ReadRate {
  readonly readsPerSecondMax: number
  readonly bytesPerSecondMax: number
}

/** What leaves here evenly does not arrive so: with no time to spare, Kinesis counts a sixth read in some seconds. */
const SPACING = 1.05

/**
 * The reads of one shard that this process does: evenly spaced, and an answer is paid for before the next read. One answer may have 10 MB, of which Kinesis says
 * that it throttles who reads again within five seconds.
 */
export class ReadBudget {
  readonly #clock: Clock
  /** When the next read may be, for its number and for its bytes. */
  #freeMs = 0
  #paidMs = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Resolves when it is the caller's turn to read, or the signal aborts. Callers come in the order in which they asked. */
  async turn({ readsPerSecondMax }: ReadRate, signal: AbortSignal): Promise<void> {
    const nowMs = this.#clock.nowMs()
    const atMs = Math.max(nowMs, this.#freeMs, this.#paidMs)
    this.#freeMs = atMs + (1_000 / readsPerSecondMax) * SPACING
    if (atMs > nowMs) await this.#clock.sleep(atMs - nowMs, signal)
    // Whoever was before in the queue may have got much.
    for (;;) {
      const dueMs = this.#paidMs - this.#clock.nowMs()
      if (dueMs <= 0 || signal.aborted) return
      await this.#clock.sleep(dueMs, signal)
    }
  }

  /** An answer of so many bytes, data and partition keys, has come. */
  spend({ bytesPerSecondMax }: ReadRate, bytes: number): void {
    this.#paidMs = Math.max(this.#paidMs, this.#clock.nowMs()) + (bytes / bytesPerSecondMax) * 1_000
  }

  isFree(): boolean {
    return Math.max(this.#freeMs, this.#paidMs) <= this.#clock.nowMs()
  }
}

interface Shared {
  readonly budget: ReadBudget
  users: number
}

/** The limits are those of shards, whichever source of this process reads them. By clock, because simulated processes share no time. */
const SHARED = new WeakMap<Clock, Map<string, Shared>>()

/** The budget of a shard, shared by all who borrow it; give it back. `server` tells one Kinesis from another. */
export function borrowBudget(
  clock: Clock,
  server: string,
  { stream, shardId }: ShardPlace,
): { readonly budget: ReadBudget; readonly giveBack: () => void } {
  const known = SHARED.get(clock) ?? new Map<string, Shared>()
  SHARED.set(clock, known)
  // What was given back is kept as long as something is owed.
  for (const [key, { users, budget }] of known) if (users === 0 && budget.isFree()) known.delete(key)
  const key = `${server} ${stream} ${shardId}`
  const shared = known.get(key) ?? { budget: new ReadBudget(clock), users: 0 }
  known.set(key, shared)
  shared.users++
  return { budget: shared.budget, giveBack: () => void shared.users-- }
}
