import type { RecordBatch } from '../ports.ts'
import { readEventTimes } from './event-time.ts'
import { columnAt } from './field-path.ts'
import type { Frame, Selection } from './frame.ts'
import { instantText } from './instant-text.ts'
import type { Plan } from './plan.ts'
import type { StepRefusal, StepReport } from './row-step.ts'
import { createWatermarkTracker, type WatermarkTracker } from './watermark-tracker.ts'

/** The earliest date that there is in JavaScript, in 271821 BC: a window of it fits a table's microseconds, whatever its size. */
const EVENT_TIME_MIN_MS = -8.64e15
const STAGE = 'event-time'

/** The first thing that happens to the rows of a source: each gets its event time and the watermark that it finds, or is refused. */
export class EventTimeJudge {
  readonly #plan: Plan
  #tracker: WatermarkTracker | null

  constructor(plan: Plan, watermarkMs: number) {
    this.#plan = plan
    this.#tracker = trackerFrom(plan, watermarkMs)
  }

  /** Before the first row: the watermark of the partitions that this one follows. */
  startAt(watermarkMs: number): void {
    this.#tracker = trackerFrom(this.#plan, watermarkMs)
  }

  get watermarkMs(): number {
    return this.#tracker?.watermarkMs ?? -Infinity
  }

  /** The end of the recording. */
  end(): void {
    this.#tracker?.end()
  }

  /** Judges the rows of the range in hand. `timed` becomes those that go on. */
  judge(frame: Frame, batch: RecordBatch, timed: Selection, report: StepReport): void {
    const { base, timesMs } = frame
    const rows = frame.batch.length - base
    timed.reserve(rows)
    timed.count = 0
    if (this.#tracker === null) {
      while (timed.count < rows) timed.rows[timed.count] = base + timed.count++
      return
    }
    this.#readTimes(frame, batch, report)
    this.#tracker.advance(frame, batch, report)
    for (let i = 0; i < rows; i++) if (!Number.isNaN(timesMs[i]!)) timed.rows[timed.count++] = base + i
  }

  /** Times that cannot be used become NaN, and their rows dead letters. */
  #readTimes(frame: Frame, batch: RecordBatch, report: StepReport): void {
    const path = this.#plan.eventTime!
    const { timesMs, base } = frame
    const rows = frame.batch.length - base
    readEventTimes(columnAt(frame.batch.columns, path), base, base + rows, timesMs)
    const { futureLimitMs } = this.#plan.spec.source.watermark!
    for (let i = 0; i < rows; i++) {
      const timeMs = timesMs[i]!
      const limitMs = batch.arrivalsMs[frame.records[i]!]! + futureLimitMs
      if (timeMs <= limitMs && timeMs >= EVENT_TIME_MIN_MS) continue
      timesMs[i] = Number.NaN
      report.refuse(frame, base + i, refusalOf(path.path, timeMs, limitMs))
    }
  }
}

function trackerFrom(plan: Plan, watermarkMs: number): WatermarkTracker | null {
  const { watermark } = plan.spec.source
  if (watermark === null || plan.eventTime === null) return null
  return createWatermarkTracker(plan, watermark, watermarkMs)
}

function refusalOf(field: string, timeMs: number, limitMs: number): StepRefusal {
  if (Number.isNaN(timeMs)) return refusal('invalid', `${field}, the event time, is null`)
  if (timeMs < EVENT_TIME_MIN_MS) {
    return refusal(
      'invalid',
      `${field} is ${instantText(timeMs)}, before any date: windows so far back cannot be written`,
    )
  }
  return refusal(
    'future',
    `${field} is ${instantText(timeMs)}, but by its arrival time and the future limit at most ${instantText(limitMs)} can be right`,
  )
}

function refusal(reason: StepRefusal['reason'], message: string): StepRefusal {
  return { reason, stage: STAGE, message, stack: null }
}
