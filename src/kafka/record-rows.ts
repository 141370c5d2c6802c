import type { Header, RecordBatch } from '../ports.ts'

const ROWS_MIN = 256

/** The arrays of a RecordBatch, used again for the next one. */
export class RecordRows {
  arena: Uint8Array = new Uint8Array(0)
  count = 0
  keyStart = new Int32Array(ROWS_MIN)
  keyEnd = new Int32Array(ROWS_MIN)
  valueStart = new Int32Array(ROWS_MIN)
  valueEnd = new Int32Array(ROWS_MIN)
  offsets = new Float64Array(ROWS_MIN)
  timestampsMs = new Float64Array(ROWS_MIN)
  arrivalsMs = new Float64Array(ROWS_MIN)
  /** Null where no record has headers; else as long as `count`. */
  headers: (readonly Header[] | null)[] | null = null

  reset(arena: Uint8Array): void {
    this.arena = arena
    this.count = 0
    this.headers = null
  }

  grow(): void {
    const rows = this.offsets.length * 4
    this.keyStart = copied(this.keyStart, new Int32Array(rows))
    this.keyEnd = copied(this.keyEnd, new Int32Array(rows))
    this.valueStart = copied(this.valueStart, new Int32Array(rows))
    this.valueEnd = copied(this.valueEnd, new Int32Array(rows))
    this.offsets = copied(this.offsets, new Float64Array(rows))
    this.timestampsMs = copied(this.timestampsMs, new Float64Array(rows))
    this.arrivalsMs = copied(this.arrivalsMs, new Float64Array(rows))
  }

  /** Of row `count`, which is about to be counted. */
  setHeaders(headers: readonly Header[]): void {
    this.headers ??= Array.from({ length: this.count }, () => null)
    this.headers[this.count] = headers
  }

  /** `positionAfter` of the last row may lie beyond its offset: behind what no reader is to see. */
  batch(positionAfter: (index: number) => string): RecordBatch {
    const {
      count,
      arena,
      keyStart,
      keyEnd,
      valueStart,
      valueEnd,
      offsets,
      timestampsMs,
      arrivalsMs,
      headers,
    } = this
    return {
      count,
      arena,
      keyStart,
      keyEnd,
      valueStart,
      valueEnd,
      offsets,
      timestampsMs,
      arrivalsMs,
      headers,
      positionAfter,
    }
  }
}

function copied<T extends Int32Array | Float64Array>(from: T, to: T): T {
  to.set(from)
  return to
}
