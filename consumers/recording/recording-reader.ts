import { assert } from '../../src/errors.ts'
import type { PartitionReader, ReadResult } from '../../src/ports.ts'
import { batchOf, type Chunk } from './chunk.ts'
import { isQuiet, type Lane, type PassPlace, type Quiet } from './lane.ts'
import type { Pace } from './pace.ts'
import type { RecordingPass } from './recording-pass.ts'

/** A paced reader that waits longer tells how far the clock has come. */
const PACED_QUIET_MS = 1000

export interface ReaderContext {
  /** The pass that all readers share while they are at the same place. */
  readonly sharedPass: RecordingPass
  readonly newPass: (place: PassPlace) => RecordingPass
  /** Null: as fast as possible. */
  readonly pace: Pace | null
}

/** Of a partition that others follow: it ends at its last record, wherever the file does, so that they can begin. */
export interface Followers {
  readonly ids: readonly string[]
  /** Behind the last record. */
  readonly endOffset: number
}

/** Takes from its lane, and drives the pass when the lane is empty. */
export class RecordingReader implements PartitionReader {
  readonly #context: ReaderContext
  readonly #lane: Lane
  readonly #closing = new AbortController()
  #pass: RecordingPass | null = null
  /** The chunk of the last batch is freed by the next read. */
  #delivered: Chunk | null = null
  #reading = false
  readonly #followers: Followers | null

  constructor(context: ReaderContext, lane: Lane, followers: Followers | null = null) {
    this.#context = context
    this.#lane = lane
    this.#followers = followers
    this.#choosePass()
  }

  /** A read that waits while the reader is closed resolves with 'stop'. */
  async read(recordsMax: number): Promise<ReadResult> {
    assert(recordsMax > 0, `cannot read ${recordsMax} records`)
    assert(!this.#reading, 'the reader is read twice at once')
    this.#reading = true
    try {
      return await this.#read(recordsMax)
    } finally {
      this.#reading = false
    }
  }

  async close(): Promise<void> {
    this.#closing.abort()
    this.#pass?.detach(this.#lane)
    this.#lane.abandon()
    this.#delivered = null
  }

  async #read(recordsMax: number): Promise<ReadResult> {
    this.#freeDelivered()
    while (!this.#closing.signal.aborted) {
      const entry = this.#lane.first()
      if (entry !== undefined) {
        const waitMs = this.#waitMs(entry)
        if (waitMs > 0) {
          const meanwhile = await this.#waitAtMost(waitMs)
          if (meanwhile !== null) return meanwhile
          // What is first may have changed meanwhile.
          continue
        }
        if (!isQuiet(entry)) return this.#deliver(entry, recordsMax)
        this.#lane.removeFirst()
        return { kind: 'quiet', arrivalClockMs: entry.quietMs }
      }
      const end = this.#handOn()
      if (end !== null) return end
      const pass = this.#choosePass()
      if (pass.outcome === null) await pass.advance()
      else if (pass.outcome.kind === 'failed') throw pass.outcome.error
      else return { kind: pass.outcome.kind }
    }
    return { kind: 'stop' }
  }

  #handOn(): ReadResult | null {
    if (this.#followers === null) return null
    const { ids, endOffset } = this.#followers
    const { lastOffset, startOffset } = this.#lane
    if (Math.max(lastOffset + 1, startOffset) < endOffset) return null
    return { kind: 'handed-on', to: ids, position: String(endOffset) }
  }

  #deliver(chunk: Chunk, recordsMax: number): ReadResult {
    const count = Math.min(recordsMax, this.#dueCount(chunk))
    const batch = batchOf(chunk, count)
    chunk.next += count
    if (chunk.next === chunk.count) this.#delivered = chunk
    return { kind: 'records', batch }
  }

  #freeDelivered(): void {
    if (this.#delivered === null) return
    this.#delivered = null
    this.#lane.removeFirst()
  }

  #waitMs(entry: Chunk | Quiet): number {
    const pace = this.#context.pace
    if (pace === null) return 0
    return pace.waitMs(isQuiet(entry) ? entry.quietMs : entry.arrivalsMs[entry.next]!)
  }

  /** Null when the time has passed; else how far the clock has come. */
  async #waitAtMost(waitMs: number): Promise<ReadResult | null> {
    const pace = this.#context.pace!
    await pace.sleep(Math.min(waitMs, PACED_QUIET_MS), this.#closing.signal)
    if (waitMs <= PACED_QUIET_MS || this.#closing.signal.aborted) return null
    return { kind: 'quiet', arrivalClockMs: pace.arrivalMs() }
  }

  #dueCount(chunk: Chunk): number {
    const pace = this.#context.pace
    if (pace === null) return chunk.count - chunk.next
    const nowMs = pace.arrivalMs()
    let end = chunk.next + 1
    while (end < chunk.count && chunk.arrivalsMs[end]! <= nowMs) end += 1
    return end - chunk.next
  }

  /**
   * The shared pass where this reader is at its place; else one of its own, until it has caught up. Called when the lane
   * is empty, so the reader's place is that of its pass.
   */
  #choosePass(): RecordingPass {
    const shared = this.#context.sharedPass
    if (this.#lane.resumeAt !== null) {
      this.#pass = null
    } else if (this.#pass !== null && this.#pass !== shared && this.#pass.outcome === null) {
      this.#lane.resumeAt = this.#pass.place
    }
    const place = this.#lane.resumeAt
    if (place === null) {
      assert(this.#pass !== null, 'a reader has neither a pass nor a place')
      return this.#pass
    }
    const joins = place.position === shared.position && shared.hasRoomFor(this.#lane)
    const pass = joins ? shared : (this.#pass ?? this.#context.newPass(place))
    if (pass !== this.#pass) this.#pass?.detach(this.#lane)
    pass.attach(this.#lane)
    this.#pass = pass
    return pass
  }
}
