import type { Column } from '../columns/column.ts'
import { isValid } from '../columns/column.ts'
import { assert } from '../errors.ts'
import type { AggregateNode, SessionSpec } from '../topology/node.ts'
import type { Accumulator } from './accumulate/accumulator.ts'
import { lateMessage } from './aligned-window-step.ts'
import { columnAt, type FieldPath, resolveFieldPath } from './field-path.ts'
import { type Frame, Selection } from './frame.ts'
import type { ResultPlan } from './plan.ts'
import { accumulatorsOf, RowAdder } from './row-adder.ts'
import { RowKeys } from './row-keys.ts'
import type { StepReport } from './row-step.ts'
import { SessionKeys } from './session-keys.ts'
import { LiveSessions } from './session-live.ts'
import type { SessionPartialJson } from './session-partial.ts'
import { SessionSegments } from './session-segments.ts'
import type { KeyedState, WindowStep } from './window-step.ts'

/** The latest moment that JavaScript has: a session that ended later could not be written. */
const END_MS_MAX = 8.64e15

/**
 * Sessions within a partition, or over results. A partition goes row by row as Flink does, and remembers from epoch to epoch which sessions are live. Results find their
 * own event time as W: none is late, and which of them are one session does not depend on what came before, so nothing is remembered.
 */
export class SessionWindowStep implements WindowStep {
  readonly plan: ResultPlan
  readonly late = new Selection()
  readonly keyed: KeyedState | null
  readonly #node: AggregateNode
  readonly #window: SessionSpec
  readonly #frame: Frame
  readonly #rowKeys: RowKeys
  readonly #accumulators: readonly Accumulator[]
  readonly #adder: RowAdder
  readonly #segments: SessionSegments
  readonly #sessions: LiveSessions
  readonly #keys: SessionKeys
  readonly #gapPath: FieldPath | null
  readonly #overResults: boolean
  readonly #hasCallbacks: boolean
  readonly #one = new Selection()
  readonly #onTime = new Selection()
  #paneOfRow = new Int32Array(0)
  readonly #onePane = new Int32Array(1)

  constructor(plan: ResultPlan, node: AggregateNode, window: SessionSpec, frame: Frame, task: string) {
    this.plan = plan
    this.#node = node
    this.#window = window
    this.#frame = frame
    this.#rowKeys = new RowKeys(plan, frame)
    this.#accumulators = accumulatorsOf(plan)
    this.#adder = new RowAdder(plan, frame, task, this.#accumulators)
    this.#overResults = plan.stage > 0
    // With an allowed lateness, W = t is no floor. Without, results that only touch are not one session.
    const floorIsStart = this.#overResults && node.allowedLatenessMs === 0
    this.#segments = new SessionSegments(this.#accumulators, floorIsStart)
    this.#sessions = new LiveSessions(node.allowedLatenessMs, floorIsStart ? 1 : 0, this.#segments)
    this.#keys = new SessionKeys(plan.keyFields, this.#sessions)
    this.keyed = this.#overResults ? null : this.#keys
    this.#gapPath =
      window.gapField === null ? null : resolveFieldPath(plan.rowFields, window.gapField, node.name)
    this.#hasCallbacks = this.#accumulators.some((accumulator) => accumulator.prepare !== undefined)
    this.#one.count = 1
  }

  run(input: Selection, report: StepReport): number {
    const rows = this.#rowKeys.select(input, report)
    this.late.count = 0
    this.late.reserve(rows.count)
    if (this.#hasCallbacks) this.#runOneByOne(rows, report)
    else this.#runTogether(rows, report)
    return this.late.count
  }

  takePartials(slices: number): readonly (SessionPartialJson | null)[] {
    const partials = this.#segments.take(this.#keys.columns, slices)
    this.#endEpoch()
    return partials
  }

  clear(): void {
    this.#rowKeys.clear()
    if (this.#segments.isEmpty) return
    this.#segments.clear()
    this.#endEpoch()
  }

  #endEpoch(): void {
    this.#sessions.endEpoch()
    if (this.#overResults) this.#keys.clear()
  }

  #runTogether(rows: Selection, report: StepReport): void {
    const onTime = this.#onTime
    onTime.reserve(rows.count)
    if (this.#paneOfRow.length < rows.count) this.#paneOfRow = new Int32Array(rows.count)
    const columns = this.#rowKeys.columns
    const gaps = this.#gapColumn()
    let count = 0
    for (let i = 0; i < rows.count; i++) {
      const row = rows.rows[i]!
      const endMs = this.#endOf(row, gaps, report)
      if (endMs === null) continue
      const segment = this.#add(this.#keys.idOf(columns, row), row, endMs)
      if (segment < 0) this.#addLate(row, endMs, report)
      else {
        onTime.rows[count] = row
        this.#paneOfRow[count++] = segment
      }
    }
    this.#addToPanes(onTime.rows, this.#paneOfRow, count)
  }

  /** A row that a callback refuses must not have moved a session when the next one is judged. */
  #runOneByOne(rows: Selection, report: StepReport): void {
    const columns = this.#rowKeys.columns
    const gaps = this.#gapColumn()
    for (let i = 0; i < rows.count; i++) {
      const row = rows.rows[i]!
      const endMs = this.#endOf(row, gaps, report)
      if (endMs === null) continue
      const keyId = this.#keys.idOf(columns, row)
      if (this.#sessions.isLate(keyId, this.#timeOf(row), endMs, this.#watermarkOf(row))) {
        this.#addLate(row, endMs, report)
        continue
      }
      this.#one.rows[0] = row
      this.#one.count = 1
      this.#adder.prepare(this.#one, report)
      if (this.#one.count === 0) continue
      this.#onePane[0] = this.#add(keyId, row, endMs)
      this.#addToPanes(this.#one.rows, this.#onePane, 1)
    }
  }

  #add(keyId: number, row: number, endMs: number): number {
    const segment = this.#sessions.add(keyId, this.#timeOf(row), endMs, this.#watermarkOf(row))
    if (segment >= 0) this.#keys.touch(keyId)
    return segment
  }

  #addToPanes(rows: Int32Array, panes: Int32Array, count: number): void {
    if (count === 0) return
    this.#segments.reserve()
    this.#adder.add(rows, panes, count)
    this.#segments.joinPanes()
  }

  #addLate(row: number, endMs: number, report: StepReport): void {
    this.late.rows[this.late.count++] = row
    if (this.#node.late !== 'dead-letter') return
    report.refuse(this.#frame, row, {
      reason: 'late',
      stage: this.#node.name,
      message: lateMessage(this.#timeOf(row), endMs, this.#node.allowedLatenessMs, this.#watermarkOf(row)),
      stack: null,
    })
  }

  #timeOf(row: number): number {
    return this.#frame.timesMs[row - this.#frame.base]!
  }

  /** Results are all live, whatever came before: their floor is their start. */
  #watermarkOf(row: number): number {
    return this.#overResults ? -Infinity : this.#frame.watermarksMs[row - this.#frame.base]!
  }

  #gapColumn(): Column | null {
    return this.#gapPath === null ? null : columnAt(this.#frame.batch.columns, this.#gapPath)
  }

  /** The end of the interval that the row is by itself; null for a row that is refused. */
  #endOf(row: number, gaps: Column | null, report: StepReport): number | null {
    const endMs = this.#timeOf(row) + this.#gapOf(row, gaps)
    if (endMs <= END_MS_MAX) return endMs
    report.refuse(this.#frame, row, {
      reason: 'invalid',
      stage: this.#node.name,
      message: `its session would end after any date: its gap is ${this.#gapOf(row, gaps)} ms`,
      stack: null,
    })
    return null
  }

  #gapOf(row: number, gaps: Column | null): number {
    const { gapMs } = this.#window
    if (gaps === null || !isValid(gaps, row)) return gapMs
    let gap: number
    if (gaps.storage === 'int32') gap = gaps.values[row]!
    else {
      assert(gaps.storage === 'int64', `${this.#node.name}: a gap is a whole number`)
      gap = gaps.words[row * 2 + 1]! * 4294967296 + (gaps.words[row * 2]! >>> 0)
    }
    return gap > 0 ? gap : gapMs
  }
}
