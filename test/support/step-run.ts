import { compileAppender } from '../../src/columns/append.ts'
import { createWindowStep } from '../../src/engine/create-window-step.ts'
import { Frame, Selection } from '../../src/engine/frame.ts'
import type { PanesJson } from '../../src/engine/partial.ts'
import type { ResultPlan } from '../../src/engine/plan.ts'
import type { StepRefusal, StepReport } from '../../src/engine/row-step.ts'

/** A row as it comes to a window, with its event time and the watermark that it finds. */
export interface TimedRow {
  readonly row: object
  readonly timeMs: number
  readonly watermarkMs: number
}

export interface StepRun {
  /** Of each slice what the epochs add, in their order. */
  readonly slices: readonly (readonly PanesJson[])[]
  readonly late: number
  readonly refusals: readonly StepRefusal[]
}

/** Sends rows through the window of a result, in ranges of so many rows and epochs of so many ranges. */
export function runWindowStep(
  plan: ResultPlan,
  rows: readonly TimedRow[],
  options: { rangeRows?: number; epochRanges?: number; slices?: number } = {},
): StepRun {
  const { rangeRows = rows.length, epochRanges = 1, slices = 1 } = options
  const frame = new Frame(plan.rowFields)
  const step = createWindowStep(plan, frame, 'rows-0')
  const append = compileAppender(plan.rowFields)
  const refusals: StepRefusal[] = []
  const report: StepReport = { refuse: (_frame, _row, refusal) => void refusals.push(refusal), drop() {} }
  const panes: PanesJson[][] = Array.from({ length: slices }, () => [])
  let late = 0
  const cut = (): void => {
    for (const [slice, json] of step.takePartials(slices).entries()) {
      if (json !== null) panes[slice]!.push(json as PanesJson)
    }
    step.clear()
    frame.clear()
  }
  for (let from = 0, range = 1; from < rows.length; from += rangeRows, range++) {
    const input = new Selection()
    frame.startRange(rangeRows)
    for (const [i, { row, timeMs, watermarkMs }] of rows.slice(from, from + rangeRows).entries()) {
      const misfit = append(row, frame.batch.columns)
      if (misfit !== null) throw new Error(misfit)
      frame.timesMs[i] = timeMs
      frame.watermarksMs[i] = watermarkMs
      frame.offsets[i] = from + i
      input.reserve(i + 1)
      input.rows[input.count++] = frame.batch.length++
    }
    late += step.run(input, report)
    if (range % epochRanges === 0) cut()
  }
  cut()
  return { slices: panes, late, refusals }
}
