import { type Column, type ColumnBatch, createColumn } from '../columns/column.ts'
import { int64Column, setInt64 } from '../columns/write.ts'
import { assert } from '../errors.ts'
import type { RecordBatch, TableShape } from '../ports.ts'
import { CircuitBreaker, type CircuitState } from './circuit-breaker.ts'
import { type DeadLetter, DeadLetterBatch, type DeadLetterOrigin } from './dead-letter.ts'
import { createWindowStep } from './create-window-step.ts'
import { readEventTimes } from './event-time.ts'
import { columnAt } from './field-path.ts'
import { Frame, Selection } from './frame.ts'
import type { PartialsJson } from './partial.ts'
import type { Plan } from './plan.ts'
import { appendRecordColumns, recordFields } from './record-columns.ts'
import { createRowStep, type RowStep, type StepRefusal, type StepReport } from './row-step.ts'
import { Counts, countUp, type Totals } from './totals.ts'
import { FRAME_BYTES, schemaIdOf, type WriterSchemas } from './writer-schemas.ts'
import { WatermarkTracker } from './watermark-tracker.ts'
import { instantText } from './instant-text.ts'
import type { KeyedState, WindowStep } from './window-step.ts'

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

/** A part of what steps remember by key, such as dedupe sets, by the name of the step: only what changed, or all. */
export interface KeyedOutput {
  readonly kind: 'changes' | 'snapshot'
  readonly steps: Readonly<Record<string, unknown>>
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
  readonly #origin: DeadLetterOrigin
  readonly #schemas: WriterSchemas
  readonly #frame: Frame
  readonly #dataColumns: readonly Column[]
  readonly #recordColumns: readonly Column[]
  readonly #steps: readonly RowStep[]
  readonly #windows: readonly WindowStep[]
  readonly #silver: readonly Selection[]
  readonly #timed = new Selection()
  readonly #letters: DeadLetterBatch
  readonly #tracker: WatermarkTracker | null
  readonly #circuit: CircuitBreaker | null
  readonly #counts: Counts
  #position: string | null
  #idle: boolean
  #ended: boolean
  #lastArrivalMs: number
  #records = 0
  #bytes = 0
  #mappedBytes = 0
  /** The range in hand: the raw batch, and per record of it its schema id, and whether it became a dead letter. */
  #batch: RecordBatch | null = null
  #schemaIds = new Int32Array(0)
  #failed = new Uint8Array(0)
  #rangeFrom = 0

  constructor(plan: Plan, origin: DeadLetterOrigin, schemas: WriterSchemas, state: PartitionState | null) {
    this.#plan = plan
    this.#origin = origin
    this.#schemas = schemas
    const hasBronze = plan.bronze.length > 0
    this.#frame = new Frame([...plan.sourceFields, ...(hasBronze ? recordFields(origin.topics) : [])])
    this.#dataColumns = this.#frame.batch.columns.slice(0, plan.sourceFields.length)
    this.#recordColumns = this.#frame.batch.columns.slice(plan.sourceFields.length)
    this.#steps = this.#createSteps()
    this.#windows = plan.results
      .filter((result) => result.stage === 0)
      .map((result) => createWindowStep(result, this.#frameOf(result.frame), origin.task))
    this.#silver = plan.silver.map(() => new Selection())
    this.#letters = new DeadLetterBatch(origin)
    const { watermark } = plan.spec.source
    this.#tracker =
      watermark === null ? null : new WatermarkTracker(watermark, state?.watermarkMs ?? -Infinity)
    const breaker = plan.spec.circuitBreaker
    this.#circuit = breaker === null ? null : new CircuitBreaker(breaker, origin.task, state?.circuit ?? null)
    this.#counts = Counts.from(state?.totals ?? null)
    this.#position = state?.position ?? null
    this.#idle = state?.idle ?? false
    this.#ended = state?.ended ?? false
    this.#lastArrivalMs = state?.lastArrivalMs ?? -Infinity
  }

  #createSteps(): readonly RowStep[] {
    const steps: RowStep[] = []
    for (const plan of this.#plan.steps) {
      const inputFrame = plan.input < 0 ? this.#frame : steps[plan.input]!.frame
      const fields = plan.input < 0 ? this.#plan.sourceFields : this.#plan.steps[plan.input]!.fields
      steps.push(createRowStep(plan, fields, inputFrame, new Selection()))
    }
    return steps
  }

  #frameOf(step: number): Frame {
    return step < 0 ? this.#frame : this.#steps[step]!.frame
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
    return this.#tracker?.watermarkMs ?? -Infinity
  }

  get idle(): boolean {
    return this.#idle
  }

  /** True after the end of the input: nothing more will ever come. */
  get ended(): boolean {
    return this.#ended
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
    const to = this.#rangeEnd(batch, from, limits)
    this.#batch = batch
    this.#rangeFrom = from
    const count = to - from
    if (this.#failed.length < count) this.#failed = new Uint8Array(count)
    this.#failed.fill(0, 0, count)
    if (this.#schemaIds.length < batch.count) this.#schemaIds = new Int32Array(batch.count)
    this.#frame.startRange(count)
    this.#decode(batch, from, to)
    this.#judgeTimes(batch)
    this.#runSteps()
    this.#mappedBytes = this.#bytesOfMaps()
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
    this.#tracker?.end()
    this.#idle = false
    this.#ended = true
  }

  /**
   * Closes the epoch. The tables' rows lie in the task's own columns: encode them before the next `add`, then call `clear`.
   */
  cut(cutMs: number): EpochOutput {
    const tables: TableRows[] = []
    for (const { shape } of this.#plan.bronze) {
      tables.push({ shape, batch: this.#frame.batch, selection: null, count: this.#frame.batch.length })
    }
    this.#plan.silver.forEach((table, i) => {
      const frame = this.#frameOf(table.frame)
      const fields = table.shape.fields.length - 1
      const columns = [
        ...frame.batch.columns.slice(0, fields),
        constantTime(table.shape, frame.batch.length, cutMs),
      ]
      const selection = this.#silver[i]!
      const all = selection.count === frame.batch.length
      const batch = { length: frame.batch.length, columns }
      tables.push({
        shape: table.shape,
        batch,
        selection: all ? null : selection.rows,
        count: selection.count,
      })
    })
    const letters = this.#letters.batch
    const processedAt = constantTime(this.#plan.deadLetters, letters.length, cutMs)
    tables.push({
      shape: this.#plan.deadLetters,
      batch: { length: letters.length, columns: [...letters.columns.slice(0, -1), processedAt] },
      selection: null,
      count: letters.length,
    })
    const withRows = tables.filter((table) => table.count > 0)
    for (const { shape, count } of withRows) countUp(this.#counts.rows, shape.path, count)
    return { records: this.#records, state: this.#state(), tables: withRows, partials: this.#partials() }
  }

  /** In parts, so that large state is never in memory twice; nothing where no step remembers anything. To be taken to the end. */
  *cutKeyed(kind: KeyedOutput['kind']): Generator<KeyedOutput> {
    for (const { name, keyed } of this.#keyedStates()) {
      const parts =
        kind === 'changes' ? keyed.takeChanges(this.watermarkMs) : keyed.takeSnapshot(this.watermarkMs)
      for (const part of parts) yield { kind, steps: { [name]: part } }
    }
  }

  /** Applies snapshots and changes in the order in which they were written. */
  restoreKeyed(output: KeyedOutput): void {
    for (const { name, keyed } of this.#keyedStates()) {
      const json = output.steps[name]
      if (json !== undefined) keyed.restore(json)
    }
  }

  *#keyedStates(): Generator<{ readonly name: string; readonly keyed: KeyedState }> {
    for (const [i, { keyed }] of this.#steps.entries()) {
      const { node } = this.#plan.steps[i]!
      if (keyed !== null && node.kind !== 'late') yield { name: node.name, keyed }
    }
    for (const { keyed, plan } of this.#windows) if (keyed !== null) yield { name: plan.node.name, keyed }
  }

  /** Empties the epoch's columns; their memory is kept for the next. */
  clear(): void {
    this.#frame.clear()
    for (const step of this.#steps) step.frame.clear()
    for (const selection of this.#silver) selection.count = 0
    for (const window of this.#windows) window.clear()
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
    this.#bytes += this.#letters.append(letter, this.#batch!, this.#schemaIds)
    countUp(this.#counts.deadLetters, letter.reason, 1)
    if (letter.reason === 'late') return
    this.#failed[letter.record - this.#rangeFrom] = 1
    this.#circuit?.example(this.#batch!.offsets[letter.record]!, letter)
  }

  #rangeEnd(batch: RecordBatch, from: number, limits: EpochLimits): number {
    const last = Math.min(batch.count, from + limits.rowsMax - this.#records)
    let to = from
    while (to < last && this.bytes < limits.bytesMax) {
      this.#bytes += Math.max(0, batch.valueEnd[to]! - batch.valueStart[to]!)
      to++
    }
    return to
  }

  /** Records to rows: appends to the source's frame, and remembers which record each row is. */
  #decode(batch: RecordBatch, from: number, to: number): void {
    for (let i = from; i < to; i++) this.#schemaIds[i] = schemaIdOf(batch, i)
    let run = from
    while (run < to) {
      const id = this.#schemaIds[run]!
      let end = run + 1
      while (end < to && this.#schemaIds[end] === id) end++
      if (id < 0) for (let i = run; i < end; i++) this.#refuseFrame(batch, i)
      else this.#decodeRun(batch, id, run, end)
      run = end
    }
    const rows = this.#frame.batch.length - this.#frame.base
    if (this.#recordColumns.length > 0 && rows > 0) {
      appendRecordColumns(
        this.#recordColumns,
        batch,
        this.#origin,
        this.#frame.records,
        this.#schemaIds,
        rows,
      )
    }
  }

  #decodeRun(batch: RecordBatch, schemaId: number, from: number, to: number): void {
    const writer = this.#schemas.get(schemaId)
    assert(writer !== undefined, `schema ${schemaId} was not asked for`)
    if (writer.kind === 'refused') {
      for (let record = from; record < to; record++) {
        this.#refuseRecord({
          record,
          reason: writer.reason,
          stage: 'decode',
          message: writer.message,
          stack: null,
        })
      }
      return
    }
    const frame = this.#frame
    let next = from
    while (next < to) {
      const stop = writer.decoder.decode(
        batch.arena,
        batch.valueStart,
        batch.valueEnd,
        FRAME_BYTES,
        next,
        to,
        this.#dataColumns,
      )
      for (let record = next; record < stop; record++) {
        const at = frame.batch.length++ - frame.base
        frame.records[at] = record
        frame.offsets[at] = batch.offsets[record]!
      }
      if (stop < to) {
        const message = writer.decoder.failure
        this.#refuseRecord({ record: stop, reason: 'undecodable', stage: 'decode', message, stack: null })
      }
      next = stop + 1
    }
  }

  #refuseFrame(batch: RecordBatch, record: number): void {
    const bytes = batch.valueEnd[record]! - batch.valueStart[record]!
    let message = 'the value does not begin with the frame of a schema registry (a zero byte and a schema id)'
    if (batch.valueEnd[record]! < 0) message = 'the value is null (a tombstone)'
    else if (bytes >= FRAME_BYTES && batch.arena[batch.valueStart[record]!] === 0) {
      message = 'the schema id in the frame is below zero, as none that a registry gives'
    } else if (bytes === 0) message = 'the value is empty'
    else if (bytes < FRAME_BYTES)
      message = `the value has ${bytes} bytes, less than the frame of a schema registry`
    this.#refuseRecord({ record, reason: 'undecodable', stage: 'decode', message, stack: null })
  }

  /** Event time and watermark of each new row; `#timed` becomes the rows that go on. */
  #judgeTimes(batch: RecordBatch): void {
    const frame = this.#frame
    const rows = frame.batch.length - frame.base
    const timed = this.#timed
    timed.count = 0
    timed.reserve(rows)
    const { eventTime } = this.#plan
    const watermark = this.#plan.spec.source.watermark
    if (eventTime === null || watermark === null || this.#tracker === null) {
      for (let i = 0; i < rows; i++) timed.rows[i] = frame.base + i
      timed.count = rows
      return
    }
    readEventTimes(columnAt(frame.batch.columns, eventTime), frame.base, frame.base + rows, frame.timesMs)
    // The tracker takes runs of rows with a usable time; the others move no watermark.
    let run = 0
    for (let i = 0; i < rows; i++) {
      const timeMs = frame.timesMs[i]!
      const limitMs = batch.arrivalsMs[frame.records[i]!]! + watermark.futureLimitMs
      if (timeMs <= limitMs && timeMs >= EVENT_TIME_MIN_MS) {
        timed.rows[timed.count++] = frame.base + i
        continue
      }
      this.#tracker.advance(frame.timesMs, frame.watermarksMs, run, i)
      run = i + 1
      this.#refuseTime(frame.records[i]!, eventTime.path, timeMs, limitMs)
    }
    this.#tracker.advance(frame.timesMs, frame.watermarksMs, run, rows)
  }

  #refuseTime(record: number, field: string, timeMs: number, limitMs: number): void {
    if (Number.isNaN(timeMs)) {
      const message = `${field}, the event time, is null`
      this.#refuseRecord({ record, reason: 'invalid', stage: 'event-time', message, stack: null })
    } else if (timeMs < EVENT_TIME_MIN_MS) {
      const message = `${field} is ${instantText(timeMs)}, before any date: windows so far back cannot be written`
      this.#refuseRecord({ record, reason: 'invalid', stage: 'event-time', message, stack: null })
    } else {
      const message = `${field} is ${instantText(timeMs)}, but by its arrival time and the future limit at most ${instantText(limitMs)} can be right`
      this.#refuseRecord({ record, reason: 'future', stage: 'event-time', message, stack: null })
    }
  }

  #runSteps(): void {
    const hasRun = this.#windows.map(() => false)
    const runWindow = (index: number): void => {
      if (hasRun[index]) return
      hasRun[index] = true
      const window = this.#windows[index]!
      const late = window.run(this.#rowsOf(window.plan.input), this)
      countUp(this.#counts.late, window.plan.node.name, late)
    }
    this.#steps.forEach((step, i) => {
      const { node, input } = this.#plan.steps[i]!
      if (node.kind === 'late') {
        const index = this.#windows.findIndex(({ plan }) => plan.node.name === node.input.name)
        runWindow(index)
        step.output.count = 0
        step.output.append(this.#windows[index]!.late)
      } else step.run(this.#rowsOf(input), this)
    })
    this.#windows.forEach((_, i) => runWindow(i))
    this.#plan.silver.forEach((table, i) => this.#silver[i]!.append(this.#rowsOf(table.input)))
  }

  #bytesOfMaps(): number {
    let bytes = 0
    this.#steps.forEach((step, i) => {
      if (this.#plan.steps[i]!.node.kind === 'map') bytes += step.frame.textBytes
    })
    return bytes
  }

  #rowsOf(step: number): Selection {
    return step < 0 ? this.#timed : this.#steps[step]!.output
  }

  #partials(): readonly (PartialsJson | null)[] {
    const { slices } = this.#plan
    const partials: (Record<string, unknown> | null)[] = Array.from({ length: slices }, () => null)
    for (const window of this.#windows) {
      for (const [slice, json] of window.takePartials(slices).entries()) {
        if (json !== null) partials[slice] = { ...partials[slice], [window.plan.node.name]: json }
      }
    }
    return partials.every((partial) => partial === null) ? [] : partials
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
    }
  }
}

/** The earliest date that there is in JavaScript, in 271821 BC: a window of it fits a table's microseconds, whatever its size. */
const EVENT_TIME_MIN_MS = -8.64e15

/** A `_processed_at` column: the last field of a shape, the same for all rows of the epoch. */
function constantTime(shape: TableShape, rows: number, timeMs: number): Column {
  const column = int64Column(createColumn(shape.fields.at(-1)!))
  column.reserve(rows)
  for (let row = 0; row < rows; row++) setInt64(column, row, timeMs)
  column.length = rows
  return column
}
