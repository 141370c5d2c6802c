import { IntList } from './int-list.ts'

/** Panes that are due within the same second share a bucket. */
const BUCKET_MS = 1_000

interface Bucket {
  /** None of its panes is due before. */
  earliestMs: number
  readonly panes: IntList
}

/**
 * Panes by the time at which they want a look, so that a cut looks at those alone that are due. An entry says nothing but "look at this pane
 * then": panes come and go, and their times move, without a search for what the list still has of them. So a pane may be in it twice, and
 * whoever moves a pane's time adds it again.
 */
export class DueList {
  readonly #dueMsOf: (pane: number) => number
  /** An entry that comes up before its time is added again at its time: then nobody adds one for each move. */
  readonly #movesOn: boolean
  readonly #buckets = new Map<number, Bucket>()
  /** Latest first. */
  readonly #order: number[] = []

  /** `dueMsOf` is the time as it is now; NaN for a pane that is no longer waiting. */
  constructor(dueMsOf: (pane: number) => number, movesOn = false) {
    this.#movesOn = movesOn
    this.#dueMsOf = dueMsOf
  }

  /** Nothing is due before; Infinity also where the list is empty. */
  get nextMs(): number {
    const key = this.#order.at(-1)
    return key === undefined ? Infinity : this.#buckets.get(key)!.earliestMs
  }

  /** Entries that are due at or before `nowMs`, at most. */
  countDue(nowMs: number): number {
    let count = 0
    for (const { earliestMs, panes } of this.#buckets.values()) if (earliestMs <= nowMs) count += panes.length
    return count
  }

  add(pane: number, dueMs: number): void {
    const key = bucketOf(dueMs)
    let bucket = this.#buckets.get(key)
    if (bucket === undefined) {
      bucket = { earliestMs: dueMs, panes: new IntList() }
      this.#buckets.set(key, bucket)
      this.#insert(key)
    }
    bucket.earliestMs = Math.min(bucket.earliestMs, dueMs)
    bucket.panes.push(pane)
  }

  /** Takes out what is due at or before `nowMs`. `look` may add panes, also such as are due. */
  takeDue(nowMs: number, look: (pane: number) => void): void {
    while (this.#order.length > 0 && this.nextMs <= nowMs) {
      const key = this.#order.pop()!
      const { panes } = this.#buckets.get(key)!
      this.#buckets.delete(key)
      for (let i = 0; i < panes.length; i++) {
        const pane = panes.values[i]!
        const dueMs = this.#dueMsOf(pane)
        if (dueMs <= nowMs) look(pane)
        // Of the same bucket: elsewhere it has another entry.
        else if (dueMs > nowMs && (this.#movesOn || bucketOf(dueMs) === key)) this.add(pane, dueMs)
      }
    }
  }

  #insert(key: number): void {
    let low = 0
    let high = this.#order.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#order[middle]! > key) low = middle + 1
      else high = middle
    }
    this.#order.splice(low, 0, key)
  }
}

function bucketOf(ms: number): number {
  return Math.floor(ms / BUCKET_MS)
}
