import { PipelineError } from '../../src/errors.ts'
import { RecordCursor } from '../../src/kafka/record-cursor.ts'
import type { FetchedPartition } from '../../src/kafka/fetch.ts'
import type { IsolationLevel } from '../../src/kafka/client.ts'
import { RecordRows } from '../../src/kafka/record-rows.ts'
import type { Clock, PartitionReader, ReadResult, RecordBatch, SourcePartition } from '../../src/ports.ts'
import { encodePosition } from './position.ts'
import type { SharedAnswer } from './shared-answer.ts'

export interface PartitionFeedOptions {
  readonly partition: SourcePartition
  readonly topicId: string
  readonly offset: number
  /** See PartitionReader. */
  readonly start?: string | undefined
  readonly isolation: IsolationLevel
  readonly clock: Clock
  /** A reader is never kept longer than this: it may have an epoch to cut. */
  readonly readWaitMs: number
  /** There is room again, or the reader has gone. */
  readonly changed: (feed: PartitionFeed) => void
}

interface Buffered {
  readonly cursor: RecordCursor
  readonly bytes: number
  /** That the bytes are a view into; null where they are a copy. */
  readonly answer: SharedAnswer | null
}

/** What has been fetched of one partition and not been read yet. */
export class PartitionFeed implements PartitionReader {
  readonly partition: SourcePartition
  readonly topicId: string
  readonly start: string | undefined
  readonly #options: PartitionFeedOptions
  readonly #rows = new RecordRows()
  readonly #queue: Buffered[] = []
  /** What the last batch, or one before it, looks into. */
  readonly #inUse: SharedAnswer[] = []
  #bufferedBytes = 0
  #fetchOffset: number
  /** Behind the last record that was handed out. */
  #position: number
  /** An answer has said so, after the last record: when. */
  #endReachedMs: number | null = null
  /** Where a batch was broken once already. */
  #brokenAt: number | null = null
  #failure: PipelineError | null = null
  #isClosed = false
  #wake: (() => void) | null = null
  /** Goes up where what is on its way is not wanted any more. */
  #version = 0

  constructor(options: PartitionFeedOptions) {
    this.#options = options
    this.partition = options.partition
    this.topicId = options.topicId
    this.start = options.start
    this.#fetchOffset = options.offset
    this.#position = options.offset
  }

  get fetchOffset(): number {
    return this.#fetchOffset
  }

  get bufferedBytes(): number {
    return this.#bufferedBytes
  }

  get version(): number {
    return this.#version
  }

  /** True where nothing more is to be fetched for it. */
  get isOver(): boolean {
    return this.#isClosed || this.#failure !== null
  }

  async read(recordsMax: number): Promise<ReadResult> {
    this.#letGo()
    if (!this.#hasNews) await this.#news()
    if (this.#isClosed) return { kind: 'stop' }
    const batch = this.#take(recordsMax)
    if (batch !== null) return { kind: 'records', batch }
    if (this.#failure !== null) throw this.#failure
    const arrivalClockMs = this.#endReachedMs
    this.#endReachedMs = null
    if (arrivalClockMs !== null) return { kind: 'quiet', arrivalClockMs }
    // Nobody knows whether there is something: no more to say than that.
    return { kind: 'records', batch: this.#noRecords() }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#drop()
    this.#letGo()
    this.#ring()
    this.#options.changed(this)
  }

  /**
   * What a broker answered for `fetchOffset`. The records are looked at where they are in `answer`; null: they are copied. Never
   * throws: what is wrong with them is the reader's.
   */
  accept(fetched: FetchedPartition, answer: SharedAnswer | null): void {
    const { clock, isolation, partition } = this.#options
    const arrivalMs = clock.nowMs()
    const records = fetched.records ?? Buffer.alloc(0)
    const bytes =
      answer !== null
        ? new Uint8Array(records.buffer, records.byteOffset, records.length)
        : new Uint8Array(records)
    try {
      const { aborted } = fetched
      const fetchOffset = this.#fetchOffset
      const cursor = new RecordCursor({
        bytes,
        fetchOffset,
        isolation,
        aborted,
        arrivalMs,
        where: partition.id,
      })
      this.#fetchOffset = cursor.nextOffset
      if (!cursor.isDone) {
        answer?.hold()
        this.#queue.push({ cursor, bytes: bytes.length, answer })
        this.#bufferedBytes += bytes.length
        this.#endReachedMs = null
      }
      const endOffset = isolation === 'read_committed' ? fetched.lastStableOffset : fetched.highWatermark
      const isAtEnd = records.length === 0 && fetchOffset >= endOffset
      if (isAtEnd) this.#endReachedMs = arrivalMs
      if (isAtEnd || !cursor.isDone) this.#ring()
    } catch (error) {
      this.#broken(error)
    }
  }

  /** Goes on elsewhere, with nothing in between: the topic has lost what lies there. */
  moveTo(offset: number): void {
    if (offset === this.#fetchOffset) return
    this.#drop()
    this.#fetchOffset = offset
    this.#position = offset
  }

  /** The reader gets this after what is buffered. */
  fail(error: PipelineError): void {
    this.#failure ??= error
    this.#ring()
    this.#options.changed(this)
  }

  #take(recordsMax: number): RecordBatch | null {
    const { topicId } = this
    const rows = this.#rows
    while (this.#queue.length > 0) {
      const { cursor, bytes, answer } = this.#queue[0]!
      try {
        cursor.read(rows, recordsMax)
      } catch (error) {
        this.#broken(error)
        return null
      }
      if (cursor.isDone) {
        this.#queue.shift()
        this.#bufferedBytes -= bytes
        if (answer !== null) this.#inUse.push(answer)
        this.#options.changed(this)
      }
      if (rows.count === 0) continue
      const last = rows.count - 1
      const nextOffset = cursor.position
      this.#position = nextOffset
      const { offsets } = rows
      return rows.batch((index) => encodePosition(topicId, index === last ? nextOffset : offsets[index]! + 1))
    }
    return null
  }

  /** A broken batch is fetched once more: it may have been broken on the way. */
  #broken(error: unknown): void {
    const position = this.#position
    const isFirst = this.#brokenAt !== position
    const isCorrupt = error instanceof PipelineError && error.code === 'KAFKA_BATCH_CORRUPT'
    this.#drop()
    this.#fetchOffset = position
    if (isCorrupt && isFirst) this.#brokenAt = position
    else this.fail(asFault(error, this.partition.id))
    this.#options.changed(this)
  }

  /** The batch that was handed out last is not looked at any more. */
  #letGo(): void {
    for (const answer of this.#inUse.splice(0)) answer.release()
  }

  #drop(): void {
    this.#version++
    // The first one may be looked at until the next read.
    for (const { answer } of this.#queue) if (answer !== null) this.#inUse.push(answer)
    this.#queue.length = 0
    this.#bufferedBytes = 0
    this.#endReachedMs = null
  }

  #noRecords(): RecordBatch {
    this.#rows.reset(NOTHING)
    return this.#rows.batch(() => encodePosition(this.topicId, this.#position))
  }

  get #hasNews(): boolean {
    return this.#isClosed || this.#queue.length > 0 || this.#endReachedMs !== null || this.#failure !== null
  }

  async #news(): Promise<void> {
    const { clock, readWaitMs } = this.#options
    const woken = new AbortController()
    this.#wake = () => woken.abort(WOKEN)
    await clock.sleep(readWaitMs, woken.signal)
    this.#wake = null
  }

  #ring(): void {
    this.#wake?.()
  }
}

const NOTHING = new Uint8Array(0)
/** Without a reason of ours each abort would make an error with a stack. */
const WOKEN = 'woken'

function asFault(error: unknown, where: string): PipelineError {
  if (error instanceof PipelineError) return error
  return new PipelineError('KAFKA_BATCH_CORRUPT', `${where}: what the broker sent cannot be read`, {
    cause: error,
  })
}
