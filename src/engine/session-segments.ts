import type { Column } from '../columns/column.ts'
import { grownFloat64, grownInt32 } from './accumulate/growth.ts'
import { keyedJson, itemsBySlice, statesJson } from './ordered-partial.ts'
import type { Accumulator } from './accumulate/accumulator.ts'
import type { SegmentList } from './session-live.ts'
import { floorToJson, type SessionPartialJson } from './session-partial.ts'

const NO_KEY = -1

/** The segments of an epoch: what leaves as its partial. A segment's number is that of its pane. */
export class SessionSegments implements SegmentList {
  readonly #accumulators: readonly Accumulator[]
  /** Where every row's floor is its own event time. */
  readonly #floorIsStart: boolean
  #keyIds = new Int32Array(64)
  #startsMs = new Float64Array(64)
  #endsMs = new Float64Array(64)
  #floorsMs = new Float64Array(64)
  #size = 0
  /** Pairs (from, into) of which the panes are still to be put together. */
  #joined: number[] = []

  constructor(accumulators: readonly Accumulator[], floorIsStart: boolean) {
    this.#accumulators = accumulators
    this.#floorIsStart = floorIsStart
  }

  get isEmpty(): boolean {
    return this.#size === 0
  }

  add(keyId: number, startMs: number, endMs: number, floorMs: number): number {
    const segment = this.#size++
    if (segment >= this.#keyIds.length) this.#grow(segment + 1)
    this.#keyIds[segment] = keyId
    this.#startsMs[segment] = startMs
    this.#endsMs[segment] = endMs
    this.#floorsMs[segment] = floorMs
    return segment
  }

  extend(segment: number, startMs: number, endMs: number): void {
    if (startMs < this.#startsMs[segment]!) this.#startsMs[segment] = startMs
    if (endMs > this.#endsMs[segment]!) this.#endsMs[segment] = endMs
  }

  join(from: number, into: number): void {
    this.extend(into, this.#startsMs[from]!, this.#endsMs[from]!)
    this.#keyIds[from] = NO_KEY
    this.#joined.push(from, into)
  }

  /** Room for the panes of all segments. */
  reserve(): void {
    for (const accumulator of this.#accumulators) accumulator.reserve(this.#size)
  }

  /** To be called when the rows have been added: those of a segment that was joined may still have gone to its own pane. */
  joinPanes(): void {
    const joined = this.#joined
    for (let i = 0; i < joined.length; i += 2) {
      for (const accumulator of this.#accumulators) {
        accumulator.mergePane(accumulator, joined[i]!, joined[i + 1]!)
        accumulator.reset(joined[i]!)
      }
    }
    this.#joined = []
  }

  take(keys: readonly Column[], slices: number): readonly (SessionPartialJson | null)[] {
    const keyIdOf = (segment: number) => this.#keyIds[segment]!
    const open: number[] = []
    for (let segment = 0; segment < this.#size; segment++) {
      if (this.#keyIds[segment] !== NO_KEY) open.push(segment)
    }
    const partials = itemsBySlice(keys, keyIdOf, open, slices).map((segments) =>
      segments.length === 0
        ? null
        : {
            ...keyedJson(keys, keyIdOf, segments),
            startsMs: segments.map((segment) => this.#startsMs[segment]!),
            endsMs: segments.map((segment) => this.#endsMs[segment]!),
            floorsMs: segments.map((segment) =>
              floorToJson(this.#floorIsStart ? this.#startsMs[segment]! : this.#floorsMs[segment]!),
            ),
            states: statesJson(this.#accumulators, segments),
          },
    )
    this.clear()
    return partials
  }

  clear(): void {
    for (const accumulator of this.#accumulators) {
      for (let segment = 0; segment < this.#size; segment++) accumulator.reset(segment)
    }
    this.#size = 0
    this.#joined = []
  }

  #grow(segments: number): void {
    this.#keyIds = grownInt32(this.#keyIds, segments)
    this.#startsMs = grownFloat64(this.#startsMs, segments)
    this.#endsMs = grownFloat64(this.#endsMs, segments)
    this.#floorsMs = grownFloat64(this.#floorsMs, segments)
  }
}
