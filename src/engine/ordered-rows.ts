/** The place of a row in the order of (event time, task, offset). Results have neither task nor offset: their text tells them apart. */
export interface RowPlace {
  readonly timeMs: number
  readonly task: string
  readonly offset: number
  readonly text: string
}

export function comparePlaces(a: RowPlace, b: RowPlace): number {
  if (a.timeMs !== b.timeMs) return a.timeMs - b.timeMs
  if (a.task !== b.task) return a.task < b.task ? -1 : 1
  if (a.offset !== b.offset) return a.offset - b.offset
  return a.text < b.text ? -1 : a.text > b.text ? 1 : 0
}

/** Rows that wait until no row before them can come any more. */
export class OrderedRows<R extends RowPlace> {
  #rows: R[] = []
  /** Those that no snapshot has. */
  #fresh: R[] = []
  #earliestMs = Infinity

  get size(): number {
    return this.#rows.length
  }

  add(row: R): void {
    this.#rows.push(row)
    this.#fresh.push(row)
    if (row.timeMs < this.#earliestMs) this.#earliestMs = row.timeMs
  }

  /** Takes out the rows with t ≤ `timeMs`, in their order. */
  take(timeMs: number): readonly R[] {
    if (timeMs < this.#earliestMs) return []
    const ready = this.#rows.filter((row) => row.timeMs <= timeMs)
    this.#rows = this.#rows.filter((row) => row.timeMs > timeMs)
    this.#fresh = this.#fresh.filter((row) => row.timeMs > timeMs)
    this.#earliestMs = this.#rows.reduce((earliest, row) => Math.min(earliest, row.timeMs), Infinity)
    return ready.sort(comparePlaces)
  }

  /** What a snapshot is to have: all rows, or those that came after the last one. What `take` took goes without saying. */
  takeForSnapshot(kind: 'full' | 'changes'): readonly R[] {
    const rows = kind === 'full' ? [...this.#rows] : this.#fresh
    this.#fresh = []
    return rows
  }

  /** A row that a snapshot has. */
  restore(row: R): void {
    this.add(row)
    this.#fresh.pop()
  }
}

/** `items` in parts of at most `max`, at least one. */
export function* partsOf<T>(items: readonly T[], max: number): Generator<readonly T[]> {
  for (let from = 0; from === 0 || from < items.length; from += max) yield items.slice(from, from + max)
}

/** Keys of a part, each once, and of each item its key's place. */
export function placesOf<K>(items: readonly K[]): {
  readonly distinct: readonly K[]
  readonly of: readonly number[]
} {
  const places = new Map<K, number>()
  const of = items.map((item) => {
    const place = places.get(item) ?? places.size
    places.set(item, place)
    return place
  })
  return { distinct: [...places.keys()], of }
}
