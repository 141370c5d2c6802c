import { mix32 } from '../columns/row-ops.ts'
import type { Field } from '../columns/column-type.ts'
import type { Accumulator } from './accumulate/accumulator.ts'
import { grownFloat64, grownInt32 } from './accumulate/growth.ts'
import { OpenKeys } from './open-keys.ts'

/** Panes that share accumulators. */
const SEGMENT_BITS = 20
const SEGMENT_PANES = 1 << SEGMENT_BITS
const SLOTS_MIN = 256
const NONE = -1

interface Segment {
  readonly accumulators: readonly Accumulator[]
  /** Panes in use. */
  open: number
}

/**
 * The open panes (key × window start) of a merge, for millions of them: a closed pane's place is given to the next new one, and no array
 * that is large is ever copied whole but the indices. Accumulators are of segments, so that growing copies one segment
 * at most; a segment of which all panes are closed is forgotten with its accumulators.
 */
export class OpenPanes {
  readonly keys: OpenKeys
  readonly #createAccumulators: () => readonly Accumulator[]
  #segments: (Segment | null)[] = []
  #open = 0
  /** Places that have ever been used. */
  #size = 0
  /** Of a free place: −2 − the next free place. */
  #keyIds = new Int32Array(0)
  #starts = new Float64Array(0)
  /** Pane + 1; 0 is an empty slot. */
  #slots = new Int32Array(SLOTS_MIN)
  #free = NONE

  constructor(keyFields: readonly Field[], createAccumulators: () => readonly Accumulator[]) {
    this.keys = new OpenKeys(keyFields, (ids) => this.#moveKeys(ids))
    this.#createAccumulators = createAccumulators
  }

  get open(): number {
    return this.#open
  }

  /** Also while they are removed. */
  *all(): Generator<number> {
    for (let pane = 0; pane < this.#size; pane++) if (this.#keyIds[pane]! >= 0) yield pane
  }

  keyIdOf(pane: number): number {
    return this.#keyIds[pane]!
  }

  startOf(pane: number): number {
    return this.#starts[pane]!
  }

  /** The accumulators that have the pane, as their pane `placeOf(pane)`. */
  accumulatorsOf(pane: number): readonly Accumulator[] {
    return this.#segments[pane >> SEGMENT_BITS]!.accumulators
  }

  placeOf(pane: number): number {
    return pane & (SEGMENT_PANES - 1)
  }

  /** The pane of a key and a window; −1 where it is not open. */
  find(keyId: number, startMs: number): number {
    const mask = this.#slots.length - 1
    for (let slot = hashOf(keyId, startMs) & mask; ; slot = (slot + 1) & mask) {
      const pane = this.#slots[slot]! - 1
      if (pane < 0 || (this.#keyIds[pane] === keyId && this.#starts[pane] === startMs)) return pane
    }
  }

  /** Opens a pane that is not open, empty. */
  add(keyId: number, startMs: number): number {
    if ((this.#open + 1) * 3 > this.#slots.length * 2) this.#growSlots()
    const pane = this.#take()
    this.#open++
    this.#keyIds[pane] = keyId
    this.#starts[pane] = startMs
    this.keys.refer(keyId)
    this.#enter(pane)
    const segment = this.#segmentOf(pane)
    segment.open++
    const place = this.placeOf(pane)
    for (const accumulator of segment.accumulators) accumulator.reserve(place + 1)
    return pane
  }

  /** Forgets an open pane. */
  remove(pane: number): void {
    this.#leave(pane)
    this.keys.unrefer(this.#keyIds[pane]!)
    this.#keyIds[pane] = -2 - this.#free
    this.#free = pane
    this.#open--
    const index = pane >> SEGMENT_BITS
    const segment = this.#segments[index]!
    if (--segment.open === 0 && this.#open > 0) {
      this.#segments[index] = null
      return
    }
    const place = this.placeOf(pane)
    for (const accumulator of segment.accumulators) accumulator.reset(place)
  }

  #take(): number {
    const pane = this.#free
    if (pane !== NONE) {
      this.#free = -2 - this.#keyIds[pane]!
      return pane
    }
    const next = this.#size++
    // Each grows by its own measure.
    this.#keyIds = grownInt32(this.#keyIds, next + 1)
    this.#starts = grownFloat64(this.#starts, next + 1)
    return next
  }

  #segmentOf(pane: number): Segment {
    const index = pane >> SEGMENT_BITS
    const known = this.#segments[index]
    if (known !== undefined && known !== null) return known
    const segment = { accumulators: this.#createAccumulators(), open: 0 }
    this.#segments[index] = segment
    return segment
  }

  #enter(pane: number): void {
    const slots = this.#slots
    const mask = slots.length - 1
    let slot = hashOf(this.#keyIds[pane]!, this.#starts[pane]!) & mask
    while (slots[slot]! !== 0) slot = (slot + 1) & mask
    slots[slot] = pane + 1
  }

  /** Takes a pane out of its slot, and moves those behind it that would no longer be found (Knuth, The Art of Computer Programming 6.4, algorithm R). */
  #leave(pane: number): void {
    const slots = this.#slots
    const mask = slots.length - 1
    let hole = hashOf(this.#keyIds[pane]!, this.#starts[pane]!) & mask
    while (slots[hole] !== pane + 1) hole = (hole + 1) & mask
    for (let slot = (hole + 1) & mask; slots[slot]! !== 0; slot = (slot + 1) & mask) {
      const other = slots[slot]! - 1
      const home = hashOf(this.#keyIds[other]!, this.#starts[other]!) & mask
      // It stays where its home lies between the hole and itself.
      if (((slot - home) & mask) < ((slot - hole) & mask)) continue
      slots[hole] = slots[slot]!
      hole = slot
    }
    slots[hole] = 0
  }

  #growSlots(): void {
    this.#slots = new Int32Array(this.#slots.length * 2)
    this.#enterAll()
  }

  #enterAll(): void {
    for (let pane = 0; pane < this.#size; pane++) if (this.#keyIds[pane]! >= 0) this.#enter(pane)
  }

  #moveKeys(ids: Int32Array): void {
    for (let pane = 0; pane < this.#size; pane++) {
      if (this.#keyIds[pane]! >= 0) this.#keyIds[pane] = ids[this.#keyIds[pane]!]!
    }
    // A pane's slot is of its key's id.
    this.#slots.fill(0)
    this.#enterAll()
  }
}

function hashOf(keyId: number, startMs: number): number {
  // A window's start is an integer of up to 53 bits: its low and high words both count.
  const low = startMs | 0
  const high = Math.floor(startMs / 4294967296) | 0
  return mix32(Math.imul(keyId, 0x9e3779b1) ^ mix32(low ^ Math.imul(high, 0x27d4eb2f)))
}
