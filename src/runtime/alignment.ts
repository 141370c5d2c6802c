interface Reading {
  readonly watermarkMs: number
  /** It has, as far as we know, something to read: what is quiet holds nobody up. */
  readonly isReading: boolean
}

/**
 * Holds partitions that run ahead of the slowest back, so that reading a backlog does not open the windows of hours at once: their panes wait in the merge
 * for the slowest partition. It changes no row, only when it is read. The slowest itself is never held back, and whoever has read all there is counts no more.
 */
export class Alignment {
  readonly #withinMs: number
  readonly #local = new Map<string, Reading>()
  readonly #waiting = new Set<() => void>()
  /** The slowest of other processes' partitions that move; Infinity where there is none. */
  #othersMs = Infinity

  constructor(withinMs: number) {
    this.#withinMs = withinMs
  }

  /** What a partition of this process has reached, after each of its reads; before the first it is −∞ and reading. */
  observe(task: string, watermarkMs: number, isReading: boolean): void {
    const before = this.#local.get(task)
    this.#local.set(task, { watermarkMs, isReading })
    if (before?.watermarkMs !== watermarkMs || before.isReading !== isReading) this.#wake()
  }

  /** It has ended, or another process has it. */
  leave(task: string): void {
    if (this.#local.delete(task)) this.#wake()
  }

  observeOthers(slowestMs: number): void {
    if (slowestMs === this.#othersMs) return
    this.#othersMs = slowestMs
    this.#wake()
  }

  isAhead(task: string): boolean {
    const mine = this.#local.get(task)
    return mine !== undefined && mine.watermarkMs > this.#slowestBut(task) + this.#withinMs
  }

  /** Resolves when some partition has moved. */
  changed(): Promise<void> {
    return new Promise((resolve) => this.#waiting.add(resolve))
  }

  #slowestBut(task: string): number {
    let slowestMs = this.#othersMs
    for (const [other, { watermarkMs, isReading }] of this.#local) {
      if (isReading && other !== task) slowestMs = Math.min(slowestMs, watermarkMs)
    }
    return slowestMs
  }

  #wake(): void {
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const resolve of waiting) resolve()
  }
}

/** What a look at another process's partition found. */
export interface OtherReading {
  readonly watermarkMs: number
  readonly idle: boolean
  readonly ended: boolean
}

/**
 * The slowest of the partitions elsewhere, from one look at the merge's record to the next: only those count that have moved in between. One that does not is quiet, or
 * its process is down; waiting for it would stop everybody.
 */
export function slowestMoving(
  before: ReadonlyMap<string, number>,
  now: ReadonlyMap<string, OtherReading>,
): number {
  let slowestMs = Infinity
  for (const [task, { watermarkMs, idle, ended }] of now) {
    const known = before.get(task)
    if (idle || ended || known === undefined || known === watermarkMs) continue
    slowestMs = Math.min(slowestMs, watermarkMs)
  }
  return slowestMs
}
