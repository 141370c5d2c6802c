import type { RawRecord } from '../../consumers/recording/raw-record.ts'
import { PipelineError } from '../errors.ts'
import type { Clock, PartitionReader, ReadResult, RecordBatch, SourcePartition } from '../ports.ts'

export interface LaneOptions {
  readonly partition: SourcePartition
  /** `position` is behind what was taken; null: nothing was. */
  readonly open: (position: string | null) => Promise<PartitionReader>
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly rules: LaneRules
  /** Called where the partition has come to its end, with the position behind it and those that it was handed on to, before the lane is done. */
  readonly ended?: (position: string | null, to: readonly string[]) => Promise<void>
}

/** What a capture makes of the records of a partition. */
export interface LaneRules {
  /** When a record arrived. */
  arrivalMs(batch: RecordBatch, index: number): number
  /** Whether this record, and all that follow, came too late. */
  isBeyond(batch: RecordBatch, index: number): boolean
  /** Whether nothing behind the last record of this batch is wanted. */
  isLast(batch: RecordBatch): boolean
  /** Whether a partition that has nothing at the moment is done. */
  endsWhenQuiet(arrivalClockMs: number): boolean
}

const READ_RECORDS = 4_096
const RETRY_PAUSE_MS = 1_000

/** One partition of a capture: the records that were read and are not yet written. */
export class CaptureLane {
  readonly #options: LaneOptions
  #reader: PartitionReader | null = null
  #batch: RecordBatch | null = null
  #index = 0
  #position: string | null = null
  #reading: Promise<void> | null = null
  #failure: unknown = null
  isDone = false
  isQuiet = false
  /** Of the record that `take` gives next. */
  arrivalMs = 0

  constructor(options: LaneOptions) {
    this.#options = options
  }

  get hasRecord(): boolean {
    return this.#batch !== null
  }

  /** Throws what waiting does not mend. */
  async open(): Promise<void> {
    this.#reader = await this.#options.open(this.#position)
  }

  /** Resolves when something has been heard of the partition. Throws what reading it throws, unless waiting may mend that. */
  read(): Promise<void> {
    if (this.#failure !== null) throw this.#failure
    this.#reading ??= this.#readOnce()
    return this.#reading
  }

  take(): RawRecord {
    const { topic, partition } = this.#options.partition
    const batch = this.#batch!
    const index = this.#index
    const record: RawRecord = {
      topic,
      partition,
      offset: batch.offsets[index]!,
      timestampMs: batch.timestampsMs[index]!,
      arrivalMs: this.arrivalMs,
      key: bytesAt(batch, batch.keyStart, batch.keyEnd, index),
      value: bytesAt(batch, batch.valueStart, batch.valueEnd, index),
      headers: batch.headers?.[index] ?? [],
    }
    this.#position = batch.positionAfter(index)
    this.#move(index + 1)
    return record
  }

  async close(): Promise<void> {
    this.isDone = true
    await this.#reader?.close()
  }

  async #readOnce(): Promise<void> {
    try {
      if (this.#reader === null) await this.open()
      await this.#accept(await this.#reader!.read(READ_RECORDS))
    } catch (error) {
      await this.#recover(error)
    }
    this.#reading = null
  }

  async #accept(result: ReadResult): Promise<void> {
    switch (result.kind) {
      case 'records':
        if (result.batch.count === 0) return
        this.isQuiet = false
        this.#batch = result.batch
        this.#move(0)
        return
      case 'quiet':
        this.isQuiet = true
        this.#position = result.position ?? this.#position
        this.isDone ||= this.#options.rules.endsWhenQuiet(result.arrivalClockMs)
        return
      case 'handed-on':
        await this.#options.ended?.(result.position, result.to)
        this.isDone = true
        return
      case 'end':
        await this.#options.ended?.(this.#position, [])
        this.isDone = true
        return
      case 'stop':
        this.isDone = true
    }
  }

  async #recover(error: unknown): Promise<void> {
    if (!(error instanceof PipelineError) || !error.retryable) {
      this.#failure = error
      return
    }
    const { clock, signal } = this.#options
    await clock.sleep(RETRY_PAUSE_MS, signal)
    const reader = this.#reader
    // The next read opens it again.
    this.#reader = null
    await reader?.close()
  }

  #move(index: number): void {
    const batch = this.#batch!
    const { rules } = this.#options
    this.#index = index
    if (index < batch.count && !rules.isBeyond(batch, index)) {
      this.arrivalMs = Math.round(rules.arrivalMs(batch, index))
      return
    }
    this.#batch = null
    this.isDone ||= index < batch.count || rules.isLast(batch)
  }
}

function bytesAt(batch: RecordBatch, starts: Int32Array, ends: Int32Array, index: number): Uint8Array | null {
  const end = ends[index]!
  return end < 0 ? null : batch.arena.slice(starts[index], end)
}

/**
 * Takes the records of all lanes by the time of their arrival. A lane that has nothing at the moment is not waited for. Lanes may come while this goes on.
 * Ends when all are done, by the signal, or when `write` says false; what is in hand by then has been written.
 */
export async function mergeLanes(
  lanes: readonly CaptureLane[],
  signal: AbortSignal,
  write: (record: RawRecord) => boolean,
): Promise<void> {
  const stopped = new Promise<void>((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
  while (!signal.aborted) {
    const open = lanes.filter((lane) => !lane.isDone)
    if (open.length === 0) return
    const reading = open.filter((lane) => !lane.hasRecord).map((lane) => lane.read())
    // Whoever may have an earlier one is asked first.
    if (open.some((lane) => !lane.hasRecord && !lane.isQuiet) || !open.some((lane) => lane.hasRecord)) {
      await Promise.race([...reading, stopped])
      continue
    }
    for (let next = earliest(open); next !== null; next = next.hasRecord ? earliest(open) : null) {
      if (!write(next.take())) return
    }
  }
  // What is in hand has been read, whoever else might have had an earlier record.
  for (let next = earliest(lanes); next !== null; next = earliest(lanes)) {
    if (!write(next.take())) return
  }
}

function earliest(lanes: readonly CaptureLane[]): CaptureLane | null {
  let first: CaptureLane | null = null
  for (const lane of lanes) {
    if (lane.hasRecord && (first === null || lane.arrivalMs < first.arrivalMs)) first = lane
  }
  return first
}
