import { PipelineError } from '../../src/errors.ts'
import { type Chunk, type ChunkPool, SLAB_BYTES, type Slab } from './chunk.ts'
import type { BlockCursor, RecordingBlock, RecordingFile } from './container.ts'
import type { Lane, PassPlace } from './lane.ts'
import { NOT_LISTED, OTHER_TOPIC, type PartitionTable } from './partition-table.ts'
import { RawRecordCursor } from './raw-record.ts'
import { invalidRecording, recordingUnreadable } from './recording-error.ts'

/** A lane that is so many slabs behind is given up: at most so much of the file is in memory at once. */
export const LANE_CHUNKS_MAX = 16

/** Why a pass reads no further. */
export type PassOutcome =
  | { readonly kind: 'end' }
  | { readonly kind: 'stop' }
  | { readonly kind: 'failed'; readonly error: PipelineError }

export interface PassContext {
  readonly file: RecordingFile
  readonly table: PartitionTable
  readonly pool: ChunkPool
  /** The first record that arrived at or after it ends the pass. */
  readonly untilMs: number
}

/** A block within a slab: bytes [start, end). */
interface Segment {
  readonly blockPosition: number
  readonly count: number
  readonly start: number
  readonly end: number
}

/** One way through the file, front to back, that hands each record to the lane of its partition. */
export class RecordingPass {
  outcome: PassOutcome | null = null

  readonly #context: PassContext
  readonly #blocks: BlockCursor
  /** One for each partition; null where nobody wants its records from this pass. */
  readonly #lanes: (Lane | null)[]
  #place: PassPlace
  /** Read, but did not fit into the last slab. */
  #pending: RecordingBlock | null = null
  #advancing: Promise<void> | null = null

  constructor(context: PassContext, place: PassPlace) {
    this.#context = context
    this.#place = place
    this.#blocks = context.file.blocksFrom(place.position)
    this.#lanes = context.table.partitions.map(() => null)
  }

  /** All before it has been handed out. */
  get place(): PassPlace {
    return this.#place
  }

  get position(): number {
    return this.#place.position
  }

  hasRoomFor(lane: Lane): boolean {
    return this.#lanes[lane.partition] === null
  }

  attach(lane: Lane): void {
    this.#lanes[lane.partition] = lane
    lane.resumeAt = null
  }

  detach(lane: Lane): void {
    if (this.#lanes[lane.partition] === lane) this.#lanes[lane.partition] = null
  }

  /** Reads the next slab, or sets the outcome. Whoever needs records calls it; calls meanwhile wait for the same slab. */
  async advance(): Promise<void> {
    this.#advancing ??= this.#readSlab()
    const advancing = this.#advancing
    await advancing
    if (this.#advancing === advancing) this.#advancing = null
  }

  async #readSlab(): Promise<void> {
    if (this.outcome !== null) return
    for (const lane of this.#lanes) {
      if (lane === null || lane.chunks < LANE_CHUNKS_MAX) continue
      this.detach(lane)
      lane.giveUp()
    }
    const { slab, segments, outcome } = await this.#fillSlab()
    this.outcome = (slab === null ? null : this.#handOut(slab, segments)) ?? outcome
  }

  async #fillSlab(): Promise<{ slab: Slab | null; segments: Segment[]; outcome: PassOutcome | null }> {
    const segments: Segment[] = []
    let slab: Slab | null = null
    for (;;) {
      let block: RecordingBlock | null
      try {
        block = this.#pending ?? (await this.#blocks.next())
      } catch (error) {
        const path = this.#context.file.path
        const failure = error instanceof PipelineError ? error : recordingUnreadable(path, error)
        return { slab, segments, outcome: { kind: 'failed', error: failure } }
      }
      this.#pending = null
      if (block === null) return { slab, segments, outcome: { kind: 'end' } }
      slab ??= this.#context.pool.takeSlab(block.body.length)
      if (slab.used + block.body.length > slab.bytes.length) {
        this.#pending = block
        return { slab, segments, outcome: null }
      }
      const start = slab.used
      slab.bytes.set(block.body, start)
      slab.used += block.body.length
      segments.push({ blockPosition: block.start, count: block.count, start, end: slab.used })
      if (slab.used >= SLAB_BYTES) return { slab, segments, outcome: null }
    }
  }

  /** Synchronous, so that lanes may come and go between slabs. */
  #handOut(slab: Slab, segments: readonly Segment[]): PassOutcome | null {
    slab.chunks += 1
    let arrivalMs = this.#place.arrivalMs
    let outcome: PassOutcome | null = null
    for (const segment of segments) {
      const cursor = new RawRecordCursor(slab.bytes, segment.start, segment.end)
      const sorted = this.#sort(slab, segment, cursor, arrivalMs)
      arrivalMs = sorted.arrivalMs
      outcome = sorted.outcome
      if (outcome !== null) break
    }
    this.#place = { position: this.#pending?.start ?? this.#blocks.position, arrivalMs }
    for (const lane of this.#lanes) lane?.finishSlab(this.#place)
    slab.chunks -= 1
    this.#context.pool.releaseSlab(slab)
    return outcome
  }

  #sort(
    slab: Slab,
    segment: Segment,
    cursor: RawRecordCursor,
    clockMs: number,
  ): { arrivalMs: number; outcome: PassOutcome | null } {
    const { table, pool, untilMs } = this.#context
    const lanes = this.#lanes
    let arrivalMs = clockMs
    for (let index = 0; index < segment.count; index += 1) {
      const wrong = cursor.next()
      if (wrong !== null) return { arrivalMs, outcome: this.#invalid(segment, index, wrong) }
      const partition = table.find(slab.bytes, cursor.topicStart, cursor.topicEnd, cursor.partition)
      if (partition === OTHER_TOPIC) continue
      if (partition === NOT_LISTED) {
        const what = `partition ${cursor.partition} is not in the list of the file's metadata`
        return { arrivalMs, outcome: this.#invalid(segment, index, what) }
      }
      if (cursor.arrivalMs >= untilMs) return { arrivalMs, outcome: { kind: 'stop' } }
      if (cursor.arrivalMs > arrivalMs) arrivalMs = cursor.arrivalMs
      const lane = lanes[partition]
      if (lane === null || lane === undefined) continue
      if (cursor.offset <= lane.lastOffset) {
        const what = `offset ${cursor.offset} of partition ${cursor.partition} follows offset ${lane.lastOffset}`
        return { arrivalMs, outcome: this.#invalid(segment, index, what) }
      }
      lane.lastOffset = cursor.offset
      lane.lastArrivalMs = cursor.arrivalMs
      if (cursor.offset < lane.startOffset) continue
      lane.filling ??= pool.takeChunk(slab)
      append(lane.filling, cursor)
    }
    if (cursor.at === segment.end) return { arrivalMs, outcome: null }
    const what = `${segment.end - cursor.at} bytes are left over`
    return { arrivalMs, outcome: this.#invalid(segment, segment.count, what) }
  }

  #invalid(segment: Segment, index: number, what: string): PassOutcome {
    const place = `record ${index + 1} of ${segment.count} in the block at byte ${segment.blockPosition}`
    return { kind: 'failed', error: invalidRecording(this.#context.file.path, `${place}: ${what}`) }
  }
}

function append(chunk: Chunk, cursor: RawRecordCursor): void {
  const row = chunk.count
  if (row === chunk.offsets.length) chunk.grow()
  chunk.keyStart[row] = cursor.keyStart
  chunk.keyEnd[row] = cursor.keyEnd
  chunk.valueStart[row] = cursor.valueStart
  chunk.valueEnd[row] = cursor.valueEnd
  chunk.offsets[row] = cursor.offset
  chunk.timestampsMs[row] = cursor.timestampMs
  chunk.arrivalsMs[row] = cursor.arrivalMs
  if (cursor.headers !== null) chunk.headers ??= Array.from({ length: row }, () => null)
  chunk.headers?.push(cursor.headers)
  chunk.count = row + 1
}
