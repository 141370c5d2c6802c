import { compileRow } from '../columns/row.ts'
import { unreachable } from '../errors.ts'
import type { RecordBatch } from '../ports.ts'
import type { WatermarkSpec } from '../topology/node.ts'
import { readEventTimes } from './event-time.ts'
import { columnAt } from './field-path.ts'
import type { Frame } from './frame.ts'
import { instantText } from './instant-text.ts'
import type { Plan } from './plan.ts'
import { type StepReport, thrown } from './row-step.ts'

/**
 * The watermark of one source partition. W says that no more rows with an event time below W are expected; it advances row
 * by row in position order, and never goes back.
 */
export interface WatermarkTracker {
  readonly watermarkMs: number
  /**
   * For the rows of the range in hand: `frame.watermarksMs` becomes W as each found it, and W moves on. Rows of which the time is NaN move
   * nothing; so does a row that is refused here, the time of which becomes NaN.
   */
  advance(frame: Frame, batch: RecordBatch, report: StepReport): void
  /** The end of the input: nothing is expected any more. */
  end(): void
}

export function createWatermarkTracker(
  plan: Plan,
  spec: WatermarkSpec,
  watermarkMs: number,
): WatermarkTracker {
  switch (spec.kind) {
    case 'bounded-out-of-orderness':
      return new BoundedTracker(spec.boundMs, watermarkMs)
    case 'punctuated':
      return new PunctuatedTracker(plan, spec.futureLimitMs, watermarkMs)
    case 'custom':
      return new CustomTracker(plan, spec.watermarkOf as WatermarkOf, watermarkMs)
    default:
      return unreachable(spec)
  }
}

const STAGE = 'watermark'

/** W = max(W, event time − bound). */
class BoundedTracker implements WatermarkTracker {
  watermarkMs: number
  readonly #boundMs: number

  constructor(boundMs: number, watermarkMs: number) {
    this.#boundMs = boundMs
    this.watermarkMs = watermarkMs
  }

  advance(frame: Frame): void {
    const { timesMs, watermarksMs } = frame
    const rows = frame.batch.length - frame.base
    const bound = this.#boundMs
    let watermark = this.watermarkMs
    for (let i = 0; i < rows; i++) {
      watermarksMs[i] = watermark
      // NaN is above nothing.
      const candidate = timesMs[i]! - bound
      if (candidate > watermark) watermark = candidate
    }
    this.watermarkMs = watermark
  }

  end(): void {
    this.watermarkMs = Infinity
  }
}

/** W = max(W, a field of the record), where it is not null. */
class PunctuatedTracker implements WatermarkTracker {
  watermarkMs: number
  readonly #plan: Plan
  readonly #futureLimitMs: number
  #marksMs = new Float64Array(0)

  constructor(plan: Plan, futureLimitMs: number, watermarkMs: number) {
    this.#plan = plan
    this.#futureLimitMs = futureLimitMs
    this.watermarkMs = watermarkMs
  }

  advance(frame: Frame, batch: RecordBatch, report: StepReport): void {
    const { timesMs, watermarksMs, base } = frame
    const rows = frame.batch.length - base
    const path = this.#plan.punctuation!
    if (this.#marksMs.length < rows) this.#marksMs = new Float64Array(rows)
    readEventTimes(columnAt(frame.batch.columns, path), base, base + rows, this.#marksMs)
    for (let i = 0; i < rows; i++) {
      watermarksMs[i] = this.watermarkMs
      if (Number.isNaN(timesMs[i]!)) continue
      const markMs = this.#marksMs[i]!
      const limitMs = batch.arrivalsMs[frame.records[i]!]! + this.#futureLimitMs
      if (markMs > limitMs) {
        timesMs[i] = Number.NaN
        const message = `${path.path}, the watermark, is ${instantText(markMs)}, but by its arrival time and the future limit at most ${instantText(limitMs)} can be right`
        report.refuse(frame, base + i, { reason: 'future', stage: STAGE, message, stack: null })
      } else if (markMs > this.watermarkMs) this.watermarkMs = markMs
    }
  }

  end(): void {
    this.watermarkMs = Infinity
  }
}

type WatermarkOf = (row: object, eventTimeMs: number) => unknown

/** W = max(W, what a function of the user says), where it says a number. */
class CustomTracker implements WatermarkTracker {
  watermarkMs: number
  readonly #watermarkOf: WatermarkOf
  readonly #reader: ReturnType<typeof compileRow>

  constructor(plan: Plan, watermarkOf: WatermarkOf, watermarkMs: number) {
    this.#reader = compileRow(plan.sourceFields)
    this.#watermarkOf = watermarkOf
    this.watermarkMs = watermarkMs
  }

  advance(frame: Frame, _batch: RecordBatch, report: StepReport): void {
    const { timesMs, watermarksMs, base } = frame
    const rows = frame.batch.length - base
    this.#reader.bind(frame.batch.columns)
    for (let i = 0; i < rows; i++) {
      watermarksMs[i] = this.watermarkMs
      if (Number.isNaN(timesMs[i]!)) continue
      try {
        const markMs = millraceStep(this.#watermarkOf, this.#reader.at(base + i), timesMs[i]!)
        if (markMs !== null && markMs > this.watermarkMs) this.watermarkMs = markMs
      } catch (error) {
        timesMs[i] = Number.NaN
        report.refuse(frame, base + i, thrown(STAGE, error))
      }
    }
  }

  end(): void {
    this.watermarkMs = Infinity
  }
}

/** A name at which the stack of a dead letter is cut. */
function millraceStep(watermarkOf: WatermarkOf, row: object, eventTimeMs: number): number | null {
  const markMs = watermarkOf(row, eventTimeMs)
  if (typeof markMs === 'number') return markMs
  // A timestamp in microseconds is a bigint, and no number of milliseconds.
  if (markMs !== null && markMs !== undefined)
    throw new TypeError(`the watermark is a ${typeof markMs}, not a number`)
  return null
}
