import type { Chunk, ChunkPool } from './chunk.ts'

/** The source has reached this arrival time without a record for the lane. */
export interface Quiet {
  readonly quietMs: number
}

/** Where a pass goes on: the start of a block, and the greatest arrival time before it. */
export interface PassPlace {
  readonly position: number
  readonly arrivalMs: number
}

/**
 * What has been read for one reader and not been taken by it yet. A pass fills it, the reader empties it, and neither
 * waits for the other: a lane that is full is given up by its pass, and the reader reads the file by itself from there.
 */
export class Lane {
  /** Index of the partition in the PartitionTable. */
  readonly partition: number
  /** Records below are not delivered. */
  readonly startOffset: number
  /** Of the last record that was seen, delivered or not; -1 before the first. */
  lastOffset = -1
  lastArrivalMs = Number.NEGATIVE_INFINITY
  /** The chunk that the pass is filling. */
  filling: Chunk | null = null
  /** Set when the lane has no pass: where the next one starts. */
  resumeAt: PassPlace | null

  readonly #pool: ChunkPool
  readonly #queue: (Chunk | Quiet)[] = []
  #chunks = 0

  constructor(partition: number, startOffset: number, start: PassPlace, pool: ChunkPool) {
    this.partition = partition
    this.startOffset = startOffset
    this.resumeAt = start
    this.#pool = pool
  }

  get chunks(): number {
    return this.#chunks
  }

  first(): Chunk | Quiet | undefined {
    return this.#queue[0]
  }

  /** Frees the first chunk, or forgets the first quiet. */
  removeFirst(): void {
    const first = this.#queue.shift()
    if (first === undefined || isQuiet(first)) return
    this.#chunks -= 1
    this.#pool.releaseChunk(first)
  }

  /** Ends a slab: what was filled can be taken, and a silence is noted where the clock went on without the lane. */
  finishSlab(place: PassPlace): void {
    const chunk = this.filling
    if (chunk !== null) {
      chunk.endPosition = place.position
      chunk.endArrivalMs = place.arrivalMs
      this.#queue.push(chunk)
      this.#chunks += 1
      this.filling = null
    }
    // Before the reader's own position all records were consumed: silences among them tell nothing.
    if (this.lastOffset >= this.startOffset - 1) this.#noteQuiet(place.arrivalMs)
  }

  /** Keeps the first chunk, forgets the others, and notes where they are read again. */
  giveUp(): void {
    const kept = this.#queue.findIndex((entry) => !isQuiet(entry))
    const chunk = this.#queue[kept] as Chunk
    for (const entry of this.#queue.splice(kept + 1)) this.#release(entry)
    this.lastOffset = chunk.offsets[chunk.count - 1]!
    this.lastArrivalMs = chunk.arrivalsMs[chunk.count - 1]!
    this.resumeAt = { position: chunk.endPosition, arrivalMs: chunk.endArrivalMs }
    this.#noteQuiet(chunk.endArrivalMs)
  }

  /** The first chunk is left to the garbage collector: the reader's owner may still look into its last batch. */
  abandon(): void {
    for (const entry of this.#queue.splice(1)) this.#release(entry)
    this.#queue.length = 0
  }

  #release(entry: Chunk | Quiet): void {
    if (isQuiet(entry)) return
    this.#chunks -= 1
    this.#pool.releaseChunk(entry)
  }

  #noteQuiet(quietMs: number): void {
    if (quietMs <= this.lastArrivalMs) return
    const last = this.#queue.at(-1)
    // The later silence says all that the earlier one did.
    if (last !== undefined && isQuiet(last)) this.#queue.pop()
    this.#queue.push({ quietMs })
  }
}

export function isQuiet(entry: Chunk | Quiet): entry is Quiet {
  return 'quietMs' in entry
}
