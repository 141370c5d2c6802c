import type { RawRecord } from '../../consumers/recording/raw-record.ts'
import { PipelineError } from '../errors.ts'
import type { Clock, PartitionReader, ReadResult, RecordBatch, Source, SourcePartition } from '../ports.ts'

export interface CaptureOptions {
  readonly source: Source
  readonly clock: Clock
  /** Ends the capture: what was read is written. */
  readonly signal: AbortSignal
  /** Where each partition ended, by its id, when the capture began: offsets of the next record then. */
  readonly endOffsets: ReadonlyMap<string, number>
  /** True: nothing beyond those ends is read, and the capture ends there. */
  readonly untilEnd: boolean
  /** Takes one record after the other, in the order of their arrival. False ends the capture. */
  readonly write: (record: RawRecord) => boolean
}

const READ_RECORDS = 4_096
const RETRY_PAUSE_MS = 1_000

/**
 * Reads all partitions of a source side by side and merges their records by the time of their arrival, so that a replay meets them as they
 * came. A partition that has nothing at the moment is not waited for.
 *
 * A broker does not say when a record arrived. For what was there when the capture began its timestamp has to do; what comes later
 * arrives when it is read.
 */
export async function captureTopic(options: CaptureOptions): Promise<void> {
  const lanes: CaptureLane[] = []
  try {
    for (const partition of await options.source.partitions()) {
      lanes.push(await CaptureLane.open(partition, options))
    }
    await mergeLanes(lanes, options)
  } finally {
    await Promise.all(lanes.map((lane) => lane.close()))
  }
}

async function mergeLanes(lanes: readonly CaptureLane[], { signal, write }: CaptureOptions): Promise<void> {
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

/** One partition: the records that were read and are not yet written. */
class CaptureLane {
  readonly #partition: SourcePartition
  readonly #options: CaptureOptions
  readonly #startMs: number
  readonly #endOffset: number
  #reader: PartitionReader
  #batch: RecordBatch | null = null
  #index = 0
  #position: string | null = null
  #reading: Promise<void> | null = null
  #failure: unknown = null
  isDone = false
  isQuiet = false
  /** Of the record that `take` gives next. */
  arrivalMs = 0

  private constructor(partition: SourcePartition, options: CaptureOptions, reader: PartitionReader) {
    this.#partition = partition
    this.#options = options
    this.#reader = reader
    this.#startMs = options.clock.nowMs()
    this.#endOffset = options.endOffsets.get(partition.id) ?? 0
  }

  static async open(partition: SourcePartition, options: CaptureOptions): Promise<CaptureLane> {
    return new CaptureLane(partition, options, await options.source.open(partition, null))
  }

  get hasRecord(): boolean {
    return this.#batch !== null
  }

  /** Resolves when something has been heard of the partition. Throws what reading it throws, unless waiting may mend that. */
  read(): Promise<void> {
    if (this.#failure !== null) throw this.#failure
    this.#reading ??= this.#readOnce()
    return this.#reading
  }

  take(): RawRecord {
    const { topic, partition } = this.#partition
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
    await this.#reader.close()
  }

  async #readOnce(): Promise<void> {
    try {
      this.#accept(await this.#reader.read(READ_RECORDS))
    } catch (error) {
      await this.#recover(error)
    }
    this.#reading = null
  }

  #accept(result: ReadResult): void {
    switch (result.kind) {
      case 'records':
        if (result.batch.count === 0) return
        this.isQuiet = false
        this.#batch = result.batch
        this.#move(0)
        return
      case 'quiet':
        this.isQuiet = true
        this.isDone ||= this.#options.untilEnd
        return
      case 'end':
      case 'stop':
        this.isDone = true
    }
  }

  async #recover(error: unknown): Promise<void> {
    if (!(error instanceof PipelineError) || !error.retryable) {
      this.#failure = error
      return
    }
    const { clock, source, signal } = this.#options
    await clock.sleep(RETRY_PAUSE_MS, signal)
    await this.#reader.close()
    try {
      this.#reader = await source.open(this.#partition, this.#position)
    } catch (reopening) {
      if (!(reopening instanceof PipelineError) || !reopening.retryable) this.#failure = reopening
    }
  }

  #move(index: number): void {
    const batch = this.#batch!
    this.#index = index
    const offset = batch.offsets[index]!
    const isBeyond = index < batch.count && offset >= this.#endOffset
    if (index === batch.count || (isBeyond && this.#options.untilEnd)) {
      this.#batch = null
      const next = index === 0 ? offset : batch.offsets[index - 1]! + 1
      this.isDone ||= this.#options.untilEnd && next >= this.#endOffset
      return
    }
    const timestampMs = batch.timestampsMs[index]!
    const isOld = !isBeyond && timestampMs >= 0
    const arrivalMs = isOld ? Math.min(timestampMs, this.#startMs) : batch.arrivalsMs[index]!
    this.arrivalMs = Math.round(arrivalMs)
  }
}

function bytesAt(batch: RecordBatch, starts: Int32Array, ends: Int32Array, index: number): Uint8Array | null {
  const end = ends[index]!
  return end < 0 ? null : batch.arena.slice(starts[index], end)
}
