import { type ColumnBatch, createBatch, truncateBatch } from '../columns/column.ts'
import { rowOpsFor, type RowOps } from '../columns/row-ops.ts'
import { appendInt32, appendInt64, int32Column, int64Column } from '../columns/write.ts'
import type { Accumulator } from './accumulate/accumulator.ts'
import { assert } from '../errors.ts'
import { foldPanes, type PanesJson, panesToJson } from './partial.ts'
import { PaneTable } from './pane-table.ts'
import type { ResultPlan } from './plan.ts'
import { accumulatorsOf } from './row-adder.ts'
import { type AlignedWindows, alignedWindows } from './window.ts'

/** A merge's panes at rest: what the partials hold, and how often each pane has fired. */
export interface MergePanesJson extends PanesJson {
  /** −1 before the first firing. */
  readonly revisions: readonly number[]
  /** 1 where rows came after the last firing. */
  readonly changed: readonly number[]
}

const PANES_MIN = 1024
/** Of a snapshot. */
const PART_PANES_MAX = 50_000

/** All panes of one aggregate, over all partitions: folds partials, fires what the watermark has passed. */
export class MergeAggregate {
  readonly plan: ResultPlan
  /** The gold rows of the epoch in hand. */
  readonly rows: ColumnBatch
  readonly #keyOps: readonly RowOps[]
  readonly #windows: AlignedWindows
  readonly #scratch: readonly Accumulator[]
  readonly #rules: { readonly keepFiredPanes: boolean }
  #panes: PaneTable
  #revisions = new Int32Array(PANES_MIN).fill(-1)
  #changed = new Uint8Array(PANES_MIN)
  /** 1 where a pane has fired and no partition can add to it any more; swept together. */
  #isClosed = new Uint8Array(PANES_MIN)
  #closed = 0
  /** No pane needs a look before W reaches this. */
  #nextFireMs = Infinity

  constructor(plan: ResultPlan, rules: { readonly keepFiredPanes: boolean }) {
    assert(plan.node.kind === 'aggregate' && plan.node.window.kind === 'tumbling', plan.node.name)
    this.plan = plan
    this.#windows = alignedWindows(plan.node.window)
    this.rows = createBatch(plan.resultFields)
    this.#keyOps = plan.keyFields.map(rowOpsFor)
    this.#scratch = this.#accumulators()
    this.#rules = rules
    this.#panes = new PaneTable(plan.keyFields, this.#accumulators())
  }

  get openPanes(): number {
    return this.#panes.size - this.#closed
  }

  /** Adds an epoch's partial. */
  fold(json: PanesJson): void {
    foldPanes(json, this.plan.keyFields, this.#scratch, this.#panes, (pane) => {
      this.#reserve(pane + 1)
      // Of a partition that has been added since: it revises what is still here.
      if (this.#isClosed[pane] === 1) {
        this.#isClosed[pane] = 0
        this.#closed--
      }
      this.#changed[pane] = 1
      this.#nextFireMs = Math.min(this.#nextFireMs, this.#closeMsOf(pane))
    })
  }

  /**
   * Fires every pane that W has passed and that has changed since it fired last, and forgets those that even the slowest
   * partition, idle ones included, has passed.
   *
   * @param watermarkMs W of the merge: the minimum over the partitions that are not idle.
   * @param slowestMs the minimum over all partitions.
   */
  fire(watermarkMs: number, slowestMs: number): void {
    if (watermarkMs < this.#nextFireMs) return
    let next = Infinity
    for (let pane = 0; pane < this.#panes.size; pane++) {
      if (this.#isClosed[pane] === 1) continue
      const closeMs = this.#closeMsOf(pane)
      if (watermarkMs < closeMs) {
        next = Math.min(next, closeMs)
        continue
      }
      if (this.#changed[pane] === 1) this.#append(pane)
      if (slowestMs >= closeMs || !this.#rules.keepFiredPanes) {
        this.#isClosed[pane] = 1
        this.#closed++
      } else next = Math.min(next, closeMs)
    }
    this.#nextFireMs = next
    if (this.#closed * 2 > this.#panes.size) this.#sweep()
  }

  /** Forgets the gold rows of the epoch. */
  clearRows(): void {
    truncateBatch(this.rows, 0)
  }

  *snapshot(): Generator<MergePanesJson> {
    let next = 0
    do {
      const open: number[] = []
      while (next < this.#panes.size && open.length < PART_PANES_MAX) {
        if (this.#isClosed[next] === 0) open.push(next)
        next++
      }
      yield {
        ...panesToJson(this.#panes, open),
        revisions: open.map((pane) => this.#revisions[pane]!),
        changed: open.map((pane) => this.#changed[pane]!),
      }
    } while (next < this.#panes.size)
  }

  restore(json: MergePanesJson): void {
    foldPanes(json, this.plan.keyFields, this.#scratch, this.#panes, (pane, index) => {
      this.#reserve(pane + 1)
      this.#revisions[pane] = json.revisions[index]!
      this.#changed[pane] = json.changed[index]!
      this.#nextFireMs = Math.min(this.#nextFireMs, this.#closeMsOf(pane))
    })
  }

  #accumulators(): readonly Accumulator[] {
    return accumulatorsOf(this.plan)
  }

  #closeMsOf(pane: number): number {
    return this.#windows.endOf(this.#panes.windowStartOf(pane)) + this.plan.node.allowedLatenessMs
  }

  #append(pane: number): void {
    const columns = this.rows.columns
    const keyId = this.#panes.keyIdOf(pane)
    const startMs = this.#panes.windowStartOf(pane)
    let at = 0
    for (const ops of this.#keyOps) {
      ops.append(this.#panes.keys.columns[at]!, keyId, columns[at]!)
      at++
    }
    appendInt64(int64Column(columns[at++]!), startMs)
    appendInt64(int64Column(columns[at++]!), this.#windows.endOf(startMs))
    for (const accumulator of this.#panes.accumulators) accumulator.appendResult(pane, columns[at++]!)
    appendInt32(int32Column(columns[at]!), ++this.#revisions[pane]!)
    this.#changed[pane] = 0
    this.rows.length++
  }

  /** Closed panes are left in place until they are the majority, then the others move to a new table. */
  #sweep(): void {
    const old = this.#panes
    const oldRevisions = this.#revisions
    const oldChanged = this.#changed
    const oldClosed = this.#isClosed
    this.#panes = new PaneTable(this.plan.keyFields, this.#accumulators())
    this.#revisions = new Int32Array(PANES_MIN).fill(-1)
    this.#changed = new Uint8Array(PANES_MIN)
    this.#isClosed = new Uint8Array(PANES_MIN)
    this.#closed = 0
    for (let pane = 0; pane < old.size; pane++) {
      if (oldClosed[pane] === 1) continue
      const moved = this.#panes.paneOf(old.keys.columns, old.keyIdOf(pane), old.windowStartOf(pane))
      this.#reserve(moved + 1)
      this.#panes.accumulators.forEach((accumulator, a) => {
        accumulator.mergePane(old.accumulators[a]!, pane, moved)
      })
      this.#revisions[moved] = oldRevisions[pane]!
      this.#changed[moved] = oldChanged[pane]!
    }
  }

  #reserve(panes: number): void {
    if (panes <= this.#revisions.length) return
    const capacity = Math.max(panes, this.#revisions.length * 2)
    const revisions = new Int32Array(capacity).fill(-1)
    revisions.set(this.#revisions)
    this.#revisions = revisions
    const changed = new Uint8Array(capacity)
    changed.set(this.#changed)
    this.#changed = changed
    const isClosed = new Uint8Array(capacity)
    isClosed.set(this.#isClosed)
    this.#isClosed = isClosed
  }
}
