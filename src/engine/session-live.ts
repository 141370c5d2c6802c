import { grownFloat64, grownInt32, grownUint8 } from './accumulate/growth.ts'

/** A part of a session that leaves with the epoch's partial. Its number is that of its pane. */
export interface SegmentList {
  /** A new segment, of which the pane is empty. */
  add(keyId: number, startMs: number, endMs: number, floorMs: number): number
  extend(segment: number, startMs: number, endMs: number): void
  /** `from` goes into `into`, and is no more. */
  join(from: number, into: number): void
}

const NONE = -1

/**
 * The live sessions of one partition's keys: extents [start, end) that neither overlap nor touch, and of each session the segments
 * of the epoch in hand. This is Flink's merging window set, row by row. What is new is what a row becomes for the merge:
 *
 * Each row has a *floor*, the W that it found: sessions of other partitions that were over by then are not joined to it. A row that found
 * W < t + allowed lateness needs no floor, because it could never matter: what reaches the row ends at t or later, so its
 * end + allowed lateness is above W anyway. Such rows of one session are one segment of each epoch, from the first start to the last end. What lies
 * between them is covered by rows of the session, and no floor of these matters there either: a row that came before has a floor ≤ the W that a
 * later one found < its t + allowed lateness, and what reaches that far ends at t or later.
 *
 * A row that found W ≥ t + allowed lateness, and is not late by its end or by the session that it reaches, is a segment with a floor.
 * It ends where the session ends that it has joined: by itself it might be over, but it lives with its session. Rows of one session and one floor are one
 * segment. Rows without a floor that came before it and after it are not put together, for between them may lie nothing but the row with the floor.
 *
 * One such row is common: with an exact watermark, the second of two rows of the same millisecond finds W = t. Its floor could keep off only what
 * ends exactly at t. Where the session has another row that is reached there, and that has no floor so high, the floor does not matter either.
 */
export class LiveSessions {
  readonly #latenessMs: number
  /** 0 where intervals that touch are one session, 1 ms where they must overlap. */
  readonly #overlapMs: number
  readonly #segments: SegmentList
  /** Sessions in slots. Those of a key are a list, the latest first. */
  #startsMs = new Float64Array(64)
  #endsMs = new Float64Array(64)
  /** The highest floor of a session's rows; −∞ where none has one. */
  #floorsMs = new Float64Array(64)
  #next = new Int32Array(64)
  /** 1 where a session has changed since it was taken. */
  #changed = new Uint8Array(64)
  /** Segments of the epoch in hand to which rows can be added, where `#epochs` is that epoch. */
  #plain = new Int32Array(64)
  #floored = new Int32Array(64)
  #flooredMs = new Float64Array(64)
  #epochs = new Float64Array(64)
  #first = new Int32Array(64).fill(NONE)
  #free: number[] = []
  #slots = 0
  #epoch = 0

  constructor(latenessMs: number, overlapMs: 0 | 1, segments: SegmentList) {
    this.#latenessMs = latenessMs
    this.#overlapMs = overlapMs
    this.#segments = segments
  }

  /** Sessions, some of which may be over. */
  get size(): number {
    return this.#slots - this.#free.length
  }

  /** The segments of the epoch have left. */
  endEpoch(): void {
    this.#epoch++
  }

  /** Forgets all sessions. */
  clear(): void {
    this.#first.fill(NONE)
    this.#free = []
    this.#slots = 0
  }

  /** Whether a row would be late: the session that it makes is over. */
  isLate(keyId: number, startMs: number, endMs: number, watermarkMs: number): boolean {
    if (endMs + this.#latenessMs > watermarkMs) return false
    let slot = this.#firstOf(keyId)
    while (slot !== NONE && this.#startsMs[slot]! > endMs - this.#overlapMs) slot = this.#next[slot]!
    return !this.#isReached(slot, startMs, watermarkMs)
  }

  /** Adds a row and returns its segment; −1 where it is late. */
  add(keyId: number, startMs: number, endMs: number, watermarkMs: number): number {
    let before = NONE
    let slot = this.#firstOf(keyId)
    while (slot !== NONE && this.#startsMs[slot]! > endMs - this.#overlapMs) {
      before = slot
      slot = this.#next[slot]!
    }
    if (this.#isReached(slot, startMs, watermarkMs)) {
      const isPlain = this.#joinReached(slot, startMs, watermarkMs)
      if (startMs < this.#startsMs[slot]!) this.#startsMs[slot] = startMs
      if (endMs > this.#endsMs[slot]!) this.#endsMs[slot] = endMs
      this.#changed[slot] = 1
      return this.#addToSegment(keyId, slot, startMs, endMs, watermarkMs, isPlain)
    }
    if (endMs + this.#latenessMs <= watermarkMs) return NONE
    // A session that is over ends the list: those behind it ended before.
    if (slot !== NONE && this.#isOver(slot, watermarkMs)) slot = this.#freeFrom(slot)
    const added = this.#insert(keyId, before, slot, startMs, endMs)
    return this.#addToSegment(
      keyId,
      added,
      startMs,
      endMs,
      watermarkMs,
      watermarkMs < startMs + this.#latenessMs,
    )
  }

  /** Whether a key has a session that is live at W. */
  isLive(keyId: number, watermarkMs: number): boolean {
    const first = this.#firstOf(keyId)
    return first !== NONE && !this.#isOver(first, watermarkMs)
  }

  /**
   * [start, end, highest floor, …] of a key's sessions that are live at W, the latest first: all, or those that have changed since the last call. Forgets those
   * that are over.
   */
  takeExtents(keyId: number, watermarkMs: number, kind: 'all' | 'changed'): readonly number[] {
    const extents: number[] = []
    let before = NONE
    for (let slot = this.#firstOf(keyId); slot !== NONE; slot = this.#next[slot]!) {
      if (this.#isOver(slot, watermarkMs)) {
        this.#link(keyId, before, this.#freeFrom(slot))
        break
      }
      before = slot
      if (kind === 'changed' && this.#changed[slot] === 0) continue
      this.#changed[slot] = 0
      extents.push(this.#startsMs[slot]!, this.#endsMs[slot]!, this.#floorsMs[slot]!)
    }
    return extents
  }

  /** Takes in what `takeExtents` gave. A session grows only, so what is known and lies within a newer one is what that has been, or is over. */
  putExtents(keyId: number, extents: readonly number[]): void {
    for (let i = 0; i < extents.length; i += 3) {
      const slot = this.#put(keyId, extents[i]!, extents[i + 1]!)
      this.#floorsMs[slot] = extents[i + 2]!
      this.#changed[slot] = 0
    }
  }

  /** Takes in what `takeExtents` gave elsewhere, as far as it is live at W: what overlaps or touches what is known is one session with it. */
  uniteLive(keyId: number, extents: readonly number[], watermarkMs: number): void {
    for (let i = 0; i < extents.length; i += 3) {
      const endMs = extents[i + 1]!
      if (endMs + this.#latenessMs > watermarkMs) this.#unite(keyId, extents[i]!, endMs, extents[i + 2]!)
    }
  }

  #unite(keyId: number, startMs: number, endMs: number, floorMs: number): void {
    const made = { startMs, endMs, floorMs }
    let before = NONE
    let slot = this.#firstOf(keyId)
    while (slot !== NONE) {
      const next = this.#next[slot]!
      if (this.#startsMs[slot]! > endMs - this.#overlapMs) before = slot
      else if (this.#endsMs[slot]! < startMs + this.#overlapMs) break
      else {
        made.startMs = Math.min(made.startMs, this.#startsMs[slot]!)
        made.endMs = Math.max(made.endMs, this.#endsMs[slot]!)
        made.floorMs = Math.max(made.floorMs, this.#floorsMs[slot]!)
        this.#link(keyId, before, next)
        this.#free.push(slot)
      }
      slot = next
    }
    this.#floorsMs[this.#insert(keyId, before, slot, made.startMs, made.endMs)] = made.floorMs
  }

  #put(keyId: number, startMs: number, endMs: number): number {
    let before = NONE
    let slot = this.#firstOf(keyId)
    while (slot !== NONE) {
      const next = this.#next[slot]!
      if (this.#startsMs[slot]! >= startMs && this.#endsMs[slot]! <= endMs) {
        this.#link(keyId, before, next)
        this.#free.push(slot)
      } else if (this.#startsMs[slot]! > startMs) before = slot
      else break
      slot = next
    }
    return this.#insert(keyId, before, slot, startMs, endMs)
  }

  #firstOf(keyId: number): number {
    const from = this.#first.length
    if (keyId >= from) {
      this.#first = grownInt32(this.#first, keyId + 1)
      this.#first.fill(NONE, from)
    }
    return this.#first[keyId]!
  }

  #isOver(slot: number, watermarkMs: number): boolean {
    return this.#endsMs[slot]! + this.#latenessMs <= watermarkMs
  }

  /** Of a session that does not begin behind the row's end. */
  #isReached(slot: number, startMs: number, watermarkMs: number): boolean {
    if (slot === NONE || this.#endsMs[slot]! < startMs + this.#overlapMs) return false
    return !this.#isOver(slot, watermarkMs)
  }

  /** Makes `slot` and those behind it that the row reaches one session. Returns true where the row needs no floor. */
  #joinReached(slot: number, startMs: number, watermarkMs: number): boolean {
    const ownMs = startMs + this.#latenessMs
    let firstMs = this.#startsMs[slot]!
    let floorMs = this.#floorsMs[slot]!
    for (let at = this.#next[slot]!; this.#isReached(at, startMs, watermarkMs); at = this.#next[at]!) {
      firstMs = this.#startsMs[at]!
      floorMs = Math.max(floorMs, this.#floorsMs[at]!)
    }
    const isPlain = watermarkMs < ownMs || (watermarkMs === ownMs && firstMs <= startMs && floorMs < ownMs)
    this.#freshen(slot)
    for (;;) {
      const other = this.#next[slot]!
      if (!this.#isReached(other, startMs, watermarkMs)) break
      this.#freshen(other)
      // A row with a floor between them does not make the segments of two sessions one.
      if (isPlain) this.#joinPlain(slot, other)
      this.#next[slot] = this.#next[other]!
      this.#free.push(other)
    }
    this.#startsMs[slot] = firstMs
    this.#floorsMs[slot] = floorMs
    return isPlain
  }

  #joinPlain(slot: number, other: number): void {
    const from = this.#plain[other]!
    const into = this.#plain[slot]!
    if (into === NONE) this.#plain[slot] = from
    else if (from !== NONE) this.#segments.join(from, into)
  }

  #addToSegment(
    keyId: number,
    slot: number,
    startMs: number,
    endMs: number,
    watermarkMs: number,
    isPlain: boolean,
  ): number {
    const segments = this.#segments
    if (isPlain) {
      const plain = this.#plain[slot]!
      if (plain === NONE) return (this.#plain[slot] = segments.add(keyId, startMs, endMs, -Infinity))
      segments.extend(plain, startMs, endMs)
      return plain
    }
    this.#plain[slot] = NONE
    this.#floorsMs[slot] = Math.max(this.#floorsMs[slot]!, watermarkMs)
    const sessionEndMs = this.#endsMs[slot]!
    const floored = this.#floored[slot]!
    if (floored !== NONE && this.#flooredMs[slot] === watermarkMs) {
      segments.extend(floored, startMs, sessionEndMs)
      return floored
    }
    this.#flooredMs[slot] = watermarkMs
    return (this.#floored[slot] = segments.add(keyId, startMs, sessionEndMs, watermarkMs))
  }

  /** Segments of an epoch that is over are not added to. */
  #freshen(slot: number): void {
    if (this.#epochs[slot] === this.#epoch) return
    this.#epochs[slot] = this.#epoch
    this.#plain[slot] = NONE
    this.#floored[slot] = NONE
  }

  #insert(keyId: number, before: number, next: number, startMs: number, endMs: number): number {
    const slot = this.#free.pop() ?? this.#slots++
    if (slot >= this.#startsMs.length) this.#grow(slot + 1)
    this.#startsMs[slot] = startMs
    this.#endsMs[slot] = endMs
    this.#floorsMs[slot] = -Infinity
    this.#changed[slot] = 1
    this.#epochs[slot] = this.#epoch
    this.#plain[slot] = NONE
    this.#floored[slot] = NONE
    this.#next[slot] = next
    this.#link(keyId, before, slot)
    return slot
  }

  #link(keyId: number, before: number, slot: number): void {
    if (before === NONE) this.#first[keyId] = slot
    else this.#next[before] = slot
  }

  /** Returns what follows: nothing. */
  #freeFrom(first: number): number {
    for (let slot = first; slot !== NONE; slot = this.#next[slot]!) this.#free.push(slot)
    return NONE
  }

  #grow(slots: number): void {
    this.#startsMs = grownFloat64(this.#startsMs, slots)
    this.#endsMs = grownFloat64(this.#endsMs, slots)
    this.#floorsMs = grownFloat64(this.#floorsMs, slots)
    this.#next = grownInt32(this.#next, slots)
    this.#changed = grownUint8(this.#changed, slots)
    this.#plain = grownInt32(this.#plain, slots)
    this.#floored = grownInt32(this.#floored, slots)
    this.#flooredMs = grownFloat64(this.#flooredMs, slots)
    this.#epochs = grownFloat64(this.#epochs, slots)
  }
}
