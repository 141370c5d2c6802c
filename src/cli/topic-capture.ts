import type { RawRecord } from '../../consumers/recording/raw-record.ts'
import type { Clock, Source } from '../ports.ts'
import { CaptureLane, type LaneRules, mergeLanes } from './capture-lane.ts'

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

/**
 * Reads all partitions of a source side by side and merges their records by the time of their arrival, so that a replay meets them as they
 * came. A partition that has nothing at the moment is not waited for.
 *
 * A broker does not say when a record arrived. For what was there when the capture began its timestamp has to do; what comes later
 * arrives when it is read.
 */
export async function captureTopic(options: CaptureOptions): Promise<void> {
  const { source, clock, signal, endOffsets, untilEnd, write } = options
  const lanes: CaptureLane[] = []
  try {
    for (const partition of await source.partitions()) {
      const rules = rulesOf(endOffsets.get(partition.id) ?? 0, clock.nowMs(), untilEnd)
      const open = (position: string | null) => source.open(partition, position)
      const lane = new CaptureLane({ partition, open, clock, signal, rules })
      lanes.push(lane)
      await lane.open()
    }
    await mergeLanes(lanes, signal, write)
  } finally {
    await Promise.all(lanes.map((lane) => lane.close()))
  }
}

function rulesOf(endOffset: number, startMs: number, untilEnd: boolean): LaneRules {
  const isNew = (offset: number): boolean => offset >= endOffset
  return {
    arrivalMs(batch, index) {
      const timestampMs = batch.timestampsMs[index]!
      const isOld = !isNew(batch.offsets[index]!) && timestampMs >= 0
      return isOld ? Math.min(timestampMs, startMs) : batch.arrivalsMs[index]!
    },
    isBeyond: (batch, index) => untilEnd && isNew(batch.offsets[index]!),
    isLast: (batch) => untilEnd && isNew(batch.offsets[batch.count - 1]! + 1),
    endsWhenQuiet: () => untilEnd,
  }
}
