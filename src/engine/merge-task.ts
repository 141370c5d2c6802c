import type { ColumnBatch } from '../columns/column.ts'
import type { TableRows } from './partition-task.ts'
import { MergeAggregate, type MergePanesJson } from './merge-aggregate.ts'
import type { PanesJson, PartialsJson } from './partial.ts'
import type { Plan } from './plan.ts'
import { Counts, countUp, type Totals } from './totals.ts'

/** An epoch of a partition task, as its checkpoint record tells it. */
export interface SourceEpoch {
  readonly task: string
  readonly epoch: number
  readonly watermarkMs: number
  readonly idle: boolean
  readonly ended: boolean
  readonly partials: PartialsJson | null
}

/** What the merge knows of one partition task. */
export interface SourceProgress {
  /** The last epoch folded; −1 before the first. */
  readonly epoch: number
  readonly watermarkMs: number
  readonly idle: boolean
  readonly ended: boolean
}

const UNHEARD: SourceProgress = { epoch: -1, watermarkMs: -Infinity, idle: false, ended: false }

/** Small enough to travel in every checkpoint record. */
export interface MergeState {
  readonly sources: Readonly<Record<string, SourceProgress>>
  readonly watermarkMs: number
  readonly totals: Totals
}

/** Panes by the name of their aggregate, written now and then. */
export type MergeSnapshot = Readonly<Record<string, MergePanesJson>>

export interface MergeRules {
  /** A fired pane is kept until all partitions, idle ones too, have passed it. */
  readonly keepFiredPanes: boolean
  /** A partition that has recorded nothing yet holds W at −∞. */
  readonly allSourcesHoldWatermark: boolean
}

/**
 * The state machine whose input is the epoch chains of the partition tasks. Which epochs, and in which order, is for
 * the runtime to say and to record; the rows that come out do not depend on it.
 */
export class MergeTask {
  readonly #plan: Plan
  readonly #rules: MergeRules
  readonly #sources: Map<string, SourceProgress>
  readonly #aggregates: readonly MergeAggregate[]
  readonly #counts: Counts
  #watermarkMs: number

  /** `tasks` are all partition tasks of the source, whether they have recorded anything or not. Those of the state come on top. */
  constructor(plan: Plan, tasks: readonly string[], state: MergeState | null, rules: MergeRules) {
    this.#plan = plan
    this.#rules = rules
    this.#sources = new Map(Object.entries(state?.sources ?? {}))
    this.expect(tasks)
    this.#watermarkMs = state?.watermarkMs ?? -Infinity
    this.#counts = Counts.from(state?.totals ?? null)
    this.#aggregates = plan.results.map((result) => new MergeAggregate(result, rules))
  }

  get watermarkMs(): number {
    return this.#watermarkMs
  }

  get openPanes(): number {
    return this.#aggregates.reduce((sum, aggregate) => sum + aggregate.openPanes, 0)
  }

  get state(): MergeState {
    return {
      sources: Object.fromEntries(this.#sources),
      watermarkMs: this.#watermarkMs,
      totals: this.#counts.toTotals(),
    }
  }

  /** Partition tasks that the source has: one that is new holds W until it is heard of. */
  expect(tasks: readonly string[]): void {
    for (const task of tasks) if (!this.#sources.has(task)) this.#sources.set(task, UNHEARD)
  }

  progressOf(task: string): SourceProgress | undefined {
    return this.#sources.get(task)
  }

  /** Partitions of which another epoch is to be expected: neither idle nor at their end. */
  get busySources(): number {
    let busy = 0
    for (const source of this.#sources.values()) if (!source.idle && !source.ended) busy++
    return busy
  }

  /** True where no partition will add anything more. */
  get isEnded(): boolean {
    return [...this.#sources.values()].every(({ ended }) => ended)
  }

  /** Adds one epoch of a partition task. */
  fold(source: SourceEpoch): void {
    const { task, epoch, watermarkMs, idle, ended } = source
    this.#sources.set(task, { epoch, watermarkMs, idle, ended })
    if (source.partials === null) return
    for (const aggregate of this.#aggregates) {
      const json = source.partials[aggregate.plan.node.name]
      if (json !== undefined) aggregate.fold(json as PanesJson)
    }
  }

  /** A claim of a partition task, also of one that is new: it moves the chain on, and nothing else. */
  skip(task: string, epoch: number): void {
    this.#sources.set(task, { ...(this.#sources.get(task) ?? UNHEARD), epoch })
  }

  /** Fires what the watermark has passed. The rows are valid until `clear`. Tables without rows are left out. */
  cut(): readonly TableRows[] {
    const all = [...this.#sources.values()].filter(
      (source) => this.#rules.allSourcesHoldWatermark || source.epoch >= 0,
    )
    const slowestMs = Math.min(...all.map((source) => source.watermarkMs))
    const busy = all.filter((source) => !source.idle)
    // When all are idle W stays where it is.
    if (busy.length > 0) {
      this.#watermarkMs = Math.max(this.#watermarkMs, Math.min(...busy.map((source) => source.watermarkMs)))
    }
    for (const aggregate of this.#aggregates) aggregate.fire(this.#watermarkMs, slowestMs)
    const tables: TableRows[] = []
    for (const { shape, result } of this.#plan.gold) {
      const batch = this.#aggregates[result]!.rows
      if (batch.length === 0) continue
      countUp(this.#counts.rows, shape.path, batch.length)
      tables.push({ shape, batch, selection: null, count: batch.length })
    }
    return tables
  }

  /** What an aggregate has fired at the last cut. Valid until `clear`. */
  rowsOf(aggregate: number): ColumnBatch {
    return this.#aggregates[aggregate]!.rows
  }

  /** Forgets the rows of the last cut. */
  clear(): void {
    for (const aggregate of this.#aggregates) aggregate.clearRows()
  }

  /** In parts, so that many panes are never in memory twice. */
  *snapshot(): Generator<MergeSnapshot> {
    for (const aggregate of this.#aggregates) {
      for (const part of aggregate.snapshot()) yield { [aggregate.plan.node.name]: part }
    }
  }

  /** Adds a part. */
  restore(snapshot: MergeSnapshot): void {
    for (const aggregate of this.#aggregates) {
      const json = snapshot[aggregate.plan.node.name]
      if (json !== undefined) aggregate.restore(json)
    }
  }
}
