import { type Column, type ColumnBatch, createColumn } from '../columns/column.ts'
import { int64Column, setInt64 } from '../columns/write.ts'
import { assert } from '../errors.ts'
import type { RecordBatch, TableShape } from '../ports.ts'
import { CircuitBreaker, type CircuitState } from './circuit-breaker.ts'
import { type DeadLetter, DeadLetterBatch, type DeadLetterOrigin } from './dead-letter.ts'
import { EventTimeJudge } from './event-time-judge.ts'
import type { Frame } from './frame.ts'
import type { PartialsJson } from './partial.ts'
import type { Plan } from './plan.ts'
import { RecordDecoder } from './record-decoder.ts'
import { type KeyedOutput, RowFlow } from './row-flow.ts'
import type { StepRefusal, StepReport } from './row-step.ts'
import { Counts, countUp, type Totals } from './totals.ts'
import { UnstoredRows } from './unstored-rows.ts'
import type { Predecessor } from './window-step.ts'
import type { WriterSchemas } from './writer-schemas.ts'

export type { KeyedOutput }

/** What a partition task carries from epoch to epoch, apart from what its steps remember by key. It travels in the checkpoint record. */
export interface PartitionState {
  /** Null before the first record: the source's beginning. */
  readonly position: string | null
  readonly watermarkMs: number
  readonly idle: boolean
  readonly ended: boolean
  /** −Infinity before the first record. */
  readonly lastArrivalMs: number
  readonly circuit: CircuitState | null
  readonly totals: Totals
  /** The partitions that it follows, as the source names them. Absent: none. */
  readonly parents?: readonly string[]
  /** Of one that has ended: the partitions that what follows is in. The watermark is then where it was. Absent: nothing follows. */
  readonly successors?: readonly string[]
}

/** What a partition begins with that follows others. */
export type Inheritance = Pick<PartitionState, 'watermarkMs' | 'idle' | 'lastArrivalMs'>

/** The lowest of the watermarks, so that no row is late that was not; null where there is nobody to inherit from. */
export function inheritanceOf(ends: readonly PartitionState[]): Inheritance | null {
  if (ends.length === 0) return null
  const lowestMs = Math.min(...ends.map(({ watermarkMs }) => watermarkMs))
  return {
    // One whose input is over for good says nothing of what follows.
    watermarkMs: lowestMs === Infinity ? -Infinity : lowestMs,
    idle: ends.every(({ idle }) => idle),
    lastArrivalMs: Math.max(...ends.map(({ lastArrivalMs }) => lastArrivalMs)),
  }
}

/** Rows for one table, as they lie in the task's columns until the next `add`. */
export interface TableRows {
  readonly shape: TableShape
  readonly batch: ColumnBatch
  readonly selection: Int32Array | null
  readonly count: number
}

export interface EpochOutput {
  readonly records: number
  readonly state: PartitionState
  /** Tables without rows are left out. */
  readonly tables: readonly TableRows[]
  /** By slice, null where the epoch adds nothing to it; of no slice where it adds nothing at all. */
  readonly partials: readonly (PartialsJson | null)[]
}

export interface EpochLimits {
  readonly rowsMax: number
  readonly bytesMax: number
}

/**
 * The state machine of one source partition: records in, in position order; at the cut, rows for the tables and partials for
 * the merge. Synchronous and pure: time is in the records, and at the cut an argument. Between epochs it holds its
 * watermark and what its steps remember by key, nothing else.
 */
export class PartitionTask implements StepReport {
  readonly #plan: Plan
  readonly #decoder: RecordDecoder
  readonly #judge: EventTimeJudge
  readonly #flow: RowFlow
  readonly #letters: DeadLetterBatch
  readonly #unstored = new UnstoredRows()
  readonly #circuit: CircuitBreaker | null
  readonly #counts: Counts
  #position: string | null
  #idle: boolean
  #ended: boolean
  #lastArrivalMs: number
  readonly #parents: readonly string[]
  #successors: readonly string[] | undefined
  #records = 0
  #bytes = 0
  #mappedBytes = 0
  /** The range in hand: the raw batch, and of each record of it whether it became a dead letter. */
  #batch: RecordBatch | null = null
  #failed = new Uint8Array(0)
  #rangeFrom = 0

  /** `parents`: the partitions that it follows. */
  constructor(
    plan: Plan,
    origin: DeadLetterOrigin,
    schemas: WriterSchemas,
    state: PartitionState | null,
    parents: readonly string[] = state?.parents ?? [],
  ) {
    this.#plan = plan
    this.#parents = parents
    this.#successors = state?.successors
    this.#decoder = new RecordDecoder(plan, origin, schemas)
    this.#judge = new EventTimeJudge(plan, state?.watermarkMs ?? -Infinity)
    this.#flow = new RowFlow(plan, this.#decoder.frame, origin.task)
    this.#letters = new DeadLetterBatch(origin)
    const breaker = plan.spec.circuitBreaker
    this.#circuit = breaker === null ? null : new CircuitBreaker(breaker, origin.task, state?.circuit ?? null)
    this.#counts = Counts.from(state?.totals ?? null)
    this.#position = state?.position ?? null
    this.#idle = state?.idle ?? false
    this.#ended = state?.ended ?? false
    this.#lastArrivalMs = state?.lastArrivalMs ?? -Infinity
  }

  /** Records in the open epoch. */
  get records(): number {
    return this.#records
  }

  /** Of the values of these records, of the dead letters made of them, and of the rows that maps made. */
  get bytes(): number {
    return this.#bytes + this.#mappedBytes
  }

  /** After the last record; null where there was none yet. */
  get position(): string | null {
    return this.#position
  }

  get watermarkMs(): number {
    return this.#judge.watermarkMs
  }

  get idle(): boolean {
    return this.#idle
  }

  /** True after the end of the input: nothing more will ever come here. */
  get ended(): boolean {
    return this.#ended
  }

  /** Of one that has been handed on: where what follows is. */
  get successors(): readonly string[] | undefined {
    return this.#successors
  }

  get totals(): Totals {
    return this.#counts.toTotals()
  }

  isFull(limits: EpochLimits): boolean {
    return this.#records >= limits.rowsMax || this.bytes >= limits.bytesMax
  }

  /**
   * Takes records `[from, …)` until the batch or the epoch's limits end, and returns where it stopped. The schemas of the
   * batch must be known. Throws CIRCUIT_OPEN; the epoch is then lost, as it must be.
   */
  add(batch: RecordBatch, from: number, limits: EpochLimits): number {
    const planned = this.#rangeEnd(batch, from, limits)
    this.#batch = batch
    this.#rangeFrom = from
    if (this.#failed.length < planned - from) this.#failed = new Uint8Array(planned - from)
    this.#failed.fill(0, 0, planned - from)
    const to = this.#decoder.decode(batch, from, planned, limits.bytesMax, (letter) =>
      this.#refuseRecord(letter),
    )
    const count = to - from
    // Compressed bodies come to more than what lies in the batch: memory is what the limit is about.
    this.#bytes += this.#decoder.inflatedBytes
    for (let i = to; i < planned; i++) this.#bytes -= valueBytes(batch, i)
    this.#unstored.add(this.#decoder.frame, batch)
    this.#judge.judge(this.#decoder.frame, batch, this.#flow.timed, this)
    this.#flow.run(this, (name, rows) => countUp(this.#counts.late, name, rows))
    this.#mappedBytes = this.#flow.mappedBytes
    this.#circuit?.observe(this.#failed, count)
    this.#records += count
    this.#counts.records += count
    this.#position = batch.positionAfter(to - 1)
    this.#lastArrivalMs = Math.max(this.#lastArrivalMs, batch.arrivalsMs[to - 1]!)
    this.#idle = false
    return to
  }

  /** Before the first record: where the partition begins, so that it is recorded. */
  begin(position: string): void {
    assert(this.#position === null, 'a partition begins once')
    this.#position = position
  }

  /** Before the first record of one that follows others: what they knew, but for what their steps remember by key. */
  inherit({ watermarkMs, idle, lastArrivalMs }: Inheritance): void {
    assert(this.#position === null, 'a partition inherits before it begins')
    this.#judge.startAt(watermarkMs)
    this.#idle = idle
    this.#lastArrivalMs = lastArrivalMs
  }

  /** The same for what the steps of one that it follows remember by key. */
  inheritKeyed(output: KeyedOutput, from: Predecessor): void {
    this.#flow.inheritKeyed(output, from)
  }

  /** The source goes on elsewhere than behind the last record, with no record in between. False where that is where it was. */
  moveTo(position: string): boolean {
    if (position === this.#position) return false
    this.#position = position
    return true
  }

  /** True where the partition has just become idle: the epoch is then to be cut, so that the decision is recorded. */
  observeQuiet(arrivalClockMs: number, firstArrivalMs: number): boolean {
    const idleAfterMs = this.#plan.spec.source.watermark?.idleAfterMs ?? null
    if (idleAfterMs === null || this.#idle || this.#ended) return false
    const since = this.#lastArrivalMs === -Infinity ? firstArrivalMs : this.#lastArrivalMs
    if (arrivalClockMs - since < idleAfterMs) return false
    this.#idle = true
    return true
  }

  /** The end of the recording. */
  end(): void {
    this.#circuit?.end()
    this.#judge.end()
    this.#idle = false
    this.#ended = true
  }

  /** Nothing follows here, and what follows is in other partitions. They begin where this one's watermark is. A block of the circuit breaker ends unjudged. */
  handOn(to: readonly string[], position: string): void {
    this.#position = position
    this.#successors = to
    this.#ended = true
  }

  /**
   * Closes the epoch. The tables' rows lie in the task's own columns: encode them before the next `add`, then call `clear`.
   */
  cut(cutMs: number): EpochOutput {
    const tables = this.#tables(cutMs).filter((table) => table.count > 0)
    for (const { shape, count } of tables) countUp(this.#counts.rows, shape.path, count)
    return { records: this.#records, state: this.#state(), tables, partials: this.#flow.takePartials() }
  }

  /**
   * In parts, so that large state is never in memory twice; nothing where no step remembers anything. To be taken to the end. Throws
   * STATE_LIMIT.
   */
  cutKeyed(kind: KeyedOutput['kind']): Generator<KeyedOutput> {
    return this.#flow.cutKeyed(kind, this.watermarkMs)
  }

  /** Applies snapshots and changes in the order in which they were written. */
  restoreKeyed(output: KeyedOutput): void {
    this.#flow.restoreKeyed(output)
  }

  /** Empties the epoch's columns; their memory is kept for the next. */
  clear(): void {
    this.#flow.clear()
    this.#unstored.clear()
    for (const column of this.#letters.batch.columns) column.truncate(0)
    this.#letters.batch.length = 0
    this.#records = 0
    this.#bytes = 0
    this.#mappedBytes = 0
  }

  refuse(frame: Frame, row: number, refusal: StepRefusal): void {
    this.#refuseRecord({ record: frame.records[row - frame.base]!, ...refusal })
  }

  drop(stage: string, rows: number): void {
    countUp(this.#counts.dropped, stage, rows)
  }

  #refuseRecord(letter: DeadLetter): void {
    this.#bytes += this.#letters.append(letter, this.#batch!, this.#decoder.schemaIds)
    countUp(this.#counts.deadLetters, letter.reason, 1)
    if (letter.reason === 'late') return
    this.#failed[letter.record - this.#rangeFrom] = 1
    this.#circuit?.example(this.#batch!.offsets[letter.record]!, letter)
  }

  #rangeEnd(batch: RecordBatch, from: number, limits: EpochLimits): number {
    const last = Math.min(batch.count, from + limits.rowsMax - this.#records)
    let to = from
    while (to < last && this.bytes < limits.bytesMax) {
      this.#bytes += valueBytes(batch, to)
      to++
    }
    return to
  }

  #tables(cutMs: number): readonly TableRows[] {
    const { bronze, silver, deadLetters } = this.#plan
    const { batch } = this.#decoder.frame
    const letters = this.#letters.batch
    const columns = [...letters.columns.slice(0, -1), constantTime(deadLetters, letters.length, cutMs)]
    return [
      ...bronze.map(({ shape }) => ({ shape, batch, ...this.#unstored.of(shape.path, batch.length) })),
      ...silver.map((_, table) => this.#silverRows(table, cutMs)),
      {
        shape: deadLetters,
        batch: { length: letters.length, columns },
        selection: null,
        count: letters.length,
      },
    ]
  }

  #silverRows(table: number, cutMs: number): TableRows {
    const { shape, frame } = this.#plan.silver[table]!
    const { length, columns } = this.#flow.frameOf(frame).batch
    const { rows, count } = this.#flow.silverRows(table)
    const own = columns.slice(0, shape.fields.length - 1)
    return {
      shape,
      batch: { length, columns: [...own, constantTime(shape, length, cutMs)] },
      selection: count === length ? null : rows,
      count,
    }
  }

  #state(): PartitionState {
    return {
      position: this.#position,
      watermarkMs: this.watermarkMs,
      idle: this.#idle,
      ended: this.#ended,
      lastArrivalMs: this.#lastArrivalMs,
      circuit: this.#circuit?.state ?? null,
      totals: this.#counts.toTotals(),
      ...(this.#parents.length === 0 ? {} : { parents: this.#parents }),
      ...(this.#successors === undefined ? {} : { successors: this.#successors }),
    }
  }
}

function valueBytes(batch: RecordBatch, record: number): number {
  return Math.max(0, batch.valueEnd[record]! - batch.valueStart[record]!)
}

/** A `_processed_at` column: the last field of a shape, the same for all rows of the epoch. */
function constantTime(shape: TableShape, rows: number, timeMs: number): Column {
  const column = int64Column(createColumn(shape.fields.at(-1)!))
  column.reserve(rows)
  for (let row = 0; row < rows; row++) setInt64(column, row, timeMs)
  column.length = rows
  return column
}
