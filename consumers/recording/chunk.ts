import type { Header, RecordBatch } from '../../src/ports.ts'

/** Decompressed blocks, one after the other. Several chunks look into a slab; it is free when none does. */
export interface Slab {
  readonly bytes: Uint8Array
  used: number
  chunks: number
}

const CHUNK_ROWS = 256

/** The records of one partition in one slab, in the arrays of a RecordBatch. */
export class Chunk {
  slab: Slab | null = null
  count = 0
  /** Records before it have been delivered. */
  next = 0
  keyStart = new Int32Array(CHUNK_ROWS)
  keyEnd = new Int32Array(CHUNK_ROWS)
  valueStart = new Int32Array(CHUNK_ROWS)
  valueEnd = new Int32Array(CHUNK_ROWS)
  offsets = new Float64Array(CHUNK_ROWS)
  timestampsMs = new Float64Array(CHUNK_ROWS)
  arrivalsMs = new Float64Array(CHUNK_ROWS)
  /** Null where no record has headers; else as long as `count`. */
  headers: (readonly Header[] | null)[] | null = null
  /** Where the file goes on after the slab, and the arrival clock there: a reader that fell behind continues here. */
  endPosition = 0
  endArrivalMs = Number.NEGATIVE_INFINITY

  grow(): void {
    const rows = this.offsets.length * 2
    this.keyStart = copied(this.keyStart, new Int32Array(rows))
    this.keyEnd = copied(this.keyEnd, new Int32Array(rows))
    this.valueStart = copied(this.valueStart, new Int32Array(rows))
    this.valueEnd = copied(this.valueEnd, new Int32Array(rows))
    this.offsets = copied(this.offsets, new Float64Array(rows))
    this.timestampsMs = copied(this.timestampsMs, new Float64Array(rows))
    this.arrivalsMs = copied(this.arrivalsMs, new Float64Array(rows))
  }
}

/** Records [chunk.next, chunk.next + count) as a batch that looks into the chunk. */
export function batchOf(chunk: Chunk, count: number): RecordBatch {
  const start = chunk.next
  const end = start + count
  const offsets = chunk.offsets.subarray(start, end)
  return {
    count,
    arena: chunk.slab!.bytes,
    keyStart: chunk.keyStart.subarray(start, end),
    keyEnd: chunk.keyEnd.subarray(start, end),
    valueStart: chunk.valueStart.subarray(start, end),
    valueEnd: chunk.valueEnd.subarray(start, end),
    offsets,
    timestampsMs: chunk.timestampsMs.subarray(start, end),
    arrivalsMs: chunk.arrivalsMs.subarray(start, end),
    headers: chunk.headers === null ? null : chunk.headers.slice(start, end),
    positionAfter: (index) => String(offsets[index]! + 1),
  }
}

/** What a slab holds unless one block alone is larger. */
export const SLAB_BYTES = 1024 * 1024
/** More free memory than this is given back. */
const FREE_SLABS_MAX = 16
const FREE_CHUNKS_MAX = 256

/** Slabs and chunks are used again: a replay would otherwise make garbage at the speed of the disk. */
export class ChunkPool {
  readonly #slabs: Slab[] = []
  readonly #chunks: Chunk[] = []

  takeSlab(bytes: number): Slab {
    if (bytes > SLAB_BYTES) return { bytes: new Uint8Array(bytes), used: 0, chunks: 0 }
    return this.#slabs.pop() ?? { bytes: new Uint8Array(SLAB_BYTES), used: 0, chunks: 0 }
  }

  /** Frees the slab where no chunk looks into it. */
  releaseSlab(slab: Slab): void {
    if (slab.chunks > 0) return
    slab.used = 0
    if (slab.bytes.length === SLAB_BYTES && this.#slabs.length < FREE_SLABS_MAX) this.#slabs.push(slab)
  }

  takeChunk(slab: Slab): Chunk {
    const chunk = this.#chunks.pop() ?? new Chunk()
    chunk.slab = slab
    slab.chunks += 1
    return chunk
  }

  releaseChunk(chunk: Chunk): void {
    const slab = chunk.slab!
    chunk.slab = null
    chunk.count = 0
    chunk.next = 0
    chunk.headers = null
    if (this.#chunks.length < FREE_CHUNKS_MAX) this.#chunks.push(chunk)
    slab.chunks -= 1
    this.releaseSlab(slab)
  }
}

function copied<T extends Int32Array | Float64Array>(from: T, to: T): T {
  to.set(from)
  return to
}
