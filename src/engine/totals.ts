/** Counts of one task since its incarnation began; they travel in every checkpoint record. */
export interface Totals {
  readonly records: number
  /** By reason. */
  readonly deadLetters: Readonly<Record<string, number>>
  /** Late rows by the name of the aggregate, wherever they went. */
  readonly late: Readonly<Record<string, number>>
  /** Rows dropped by the name of the step: filter, map, dedupe. */
  readonly dropped: Readonly<Record<string, number>>
  /** Rows that left for a table, by its path. */
  readonly rows: Readonly<Record<string, number>>
}

/** Counts while they grow; `Totals` is their plain form. */
export class Counts {
  records = 0
  readonly deadLetters = new Map<string, number>()
  readonly late = new Map<string, number>()
  readonly dropped = new Map<string, number>()
  readonly rows = new Map<string, number>()

  static from(totals: Totals | null): Counts {
    const counts = new Counts()
    if (totals === null) return counts
    counts.records = totals.records
    for (const name of ['deadLetters', 'late', 'dropped', 'rows'] as const) {
      for (const [key, value] of Object.entries(totals[name])) counts[name].set(key, value)
    }
    return counts
  }

  toTotals(): Totals {
    return {
      records: this.records,
      deadLetters: Object.fromEntries(this.deadLetters),
      late: Object.fromEntries(this.late),
      dropped: Object.fromEntries(this.dropped),
      rows: Object.fromEntries(this.rows),
    }
  }
}

export function countUp(counts: Map<string, number>, key: string, by: number): void {
  if (by !== 0) counts.set(key, (counts.get(key) ?? 0) + by)
}

/** The sum over tasks. */
export function sumTotals(all: readonly Totals[]): Totals {
  const sum = new Counts()
  for (const totals of all) {
    sum.records += totals.records
    for (const name of ['deadLetters', 'late', 'dropped', 'rows'] as const) {
      for (const [key, value] of Object.entries(totals[name])) countUp(sum[name], key, value)
    }
  }
  return sum.toTotals()
}
