import type { RawRecord } from '../../consumers/recording/raw-record.ts'
import { shardOfTask } from '../../consumers/kinesis/shard-task.ts'
import type { Clock, Source, SourcePartition } from '../ports.ts'
import { CaptureLane, type LaneRules, mergeLanes } from './capture-lane.ts'

export interface StreamCaptureOptions {
  readonly source: Source
  readonly clock: Clock
  /** Ends the capture: what was read is written. */
  readonly signal: AbortSignal
  /** Ids of the partitions to begin with. Those that come out of them are read too. */
  readonly roots: ReadonlySet<string>
  /** True: what arrives after the capture began is not read, and the capture ends there. */
  readonly untilEnd: boolean
  /** Takes one record after the other, in the order of their arrival. False ends the capture. */
  readonly write: (record: RawRecord) => boolean
  /** Told of each shard that is begun after others, with their numbers. */
  readonly follows: (stream: string, shard: number, parents: readonly number[]) => void
}

/** By so much the clock of Kinesis may be before ours. */
const SKEW_MS = 2_000

/**
 * Reads the shards of a stream side by side and merges their records by the time of their arrival, which Kinesis says. A shard is not begun before all of its
 * parents that are read have come to their ends: so the records of a key stay in their order.
 */
export async function captureStream(options: StreamCaptureOptions): Promise<void> {
  const capture = new StreamCapture(options)
  try {
    await capture.begin()
    await mergeLanes(capture.lanes, options.signal, options.write)
  } finally {
    await Promise.all(capture.lanes.map((lane) => lane.close()))
  }
}

class StreamCapture {
  readonly lanes: CaptureLane[] = []
  readonly #options: StreamCaptureOptions
  readonly #rules: LaneRules
  /** Those that are read, or will be. */
  readonly #chosen = new Map<string, SourcePartition>()
  readonly #begun = new Set<string>()
  /** Of those that have ended, where. */
  readonly #ends = new Map<string, string | null>()

  constructor(options: StreamCaptureOptions) {
    this.#options = options
    this.#rules = rulesOf(options.clock.nowMs(), options.untilEnd)
  }

  async begin(): Promise<void> {
    const { source, roots } = this.#options
    for (const partition of await source.partitions()) {
      if (roots.has(partition.id)) this.#chosen.set(partition.id, partition)
    }
    for (const lane of this.#beginDue()) await lane.open()
  }

  /** All whose parents have ended, and that have not begun. */
  #beginDue(): readonly CaptureLane[] {
    const begun: CaptureLane[] = []
    for (const partition of this.#chosen.values()) {
      const parents = (partition.parents ?? []).filter((id) => this.#chosen.has(id))
      if (this.#begun.has(partition.id) || !parents.every((id) => this.#ends.has(id))) continue
      this.#begun.add(partition.id)
      this.#tell(partition, parents)
      begun.push(this.#laneOf(partition, parents))
    }
    this.lanes.push(...begun)
    return begun
  }

  #tell({ topic, partition }: SourcePartition, parents: readonly string[]): void {
    const numbers = parents.map((id) => this.#chosen.get(id)!.partition)
    if (numbers.length > 0) this.#options.follows(topic, partition, numbers)
  }

  #laneOf(partition: SourcePartition, parents: readonly string[]): CaptureLane {
    const { source, clock, signal } = this.#options
    const parentPositions = parents.map((id) => this.#ends.get(id) ?? null).filter((end) => end !== null)
    return new CaptureLane({
      partition,
      open: (position) => source.open(partition, position, parentPositions),
      clock,
      signal,
      rules: this.#rules,
      ended: (position, to) => this.#ended(partition, position, to),
    })
  }

  async #ended(partition: SourcePartition, position: string | null, to: readonly string[]): Promise<void> {
    const isNew = to.some((id) => !this.#chosen.has(id))
    const listed = isNew ? await this.#options.source.partitions() : []
    for (const id of to) {
      const child = listed.find((known) => known.id === id) ?? childOf(partition, id)
      if (!this.#chosen.has(id)) this.#chosen.set(id, child)
    }
    this.#ends.set(partition.id, position)
    this.#beginDue()
  }
}

/** One that is not listed yet. */
function childOf({ id: parent, topic }: SourcePartition, id: string): SourcePartition {
  return { id, topic, partition: shardOfTask(id)?.number ?? 0, parents: [parent] }
}

function rulesOf(startMs: number, untilEnd: boolean): LaneRules {
  const isNew = (arrivalMs: number): boolean => untilEnd && arrivalMs > startMs + SKEW_MS
  return {
    arrivalMs: (batch, index) => batch.arrivalsMs[index]!,
    isBeyond: (batch, index) => isNew(batch.arrivalsMs[index]!),
    isLast: () => false,
    endsWhenQuiet: (arrivalClockMs) => untilEnd && arrivalClockMs >= startMs,
  }
}
