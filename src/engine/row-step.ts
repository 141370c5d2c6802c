import { compileAppender } from '../columns/append.ts'
import type { Field } from '../columns/column-type.ts'
import { compileRow } from '../columns/row.ts'
import { messageOf, unreachable } from '../errors.ts'
import type { DeadLetterReason } from './dead-letter.ts'
import { DedupeSet } from './dedupe.ts'
import { compileExpectations } from './expectation.ts'
import { columnAt, resolveFieldPath } from './field-path.ts'
import { Frame, type Selection } from './frame.ts'
import type { StepPlan } from './plan.ts'
import type { KeyedState } from './window-step.ts'

/** What a step tells the task about a row that it refuses. `row` is of the step's input frame. */
export interface StepReport {
  refuse(frame: Frame, row: number, letter: StepRefusal): void
  drop(stage: string, rows: number): void
}

export interface StepRefusal {
  readonly reason: DeadLetterReason
  readonly stage: string
  readonly message: string
  readonly stack: string | null
}

/** One step at work: reads rows of its input's frame, fills `output` with rows of its own frame. */
export interface RowStep {
  /** The frame of `output`: the input's, but for a map. */
  readonly frame: Frame
  readonly output: Selection
  run(input: Selection, report: StepReport): void
  /** Null for every step that remembers nothing. */
  readonly keyed: KeyedState | null
}

type RunStep = Pick<RowStep, 'run'>

/** Makes the runner of any step but `late`, whose rows come from its aggregate. */
export function createRowStep(
  plan: StepPlan,
  inputFields: readonly Field[],
  inputFrame: Frame,
  output: Selection,
): RowStep {
  const node = plan.node
  switch (node.kind) {
    case 'expect':
      return { frame: inputFrame, output, keyed: null, ...expectStep(plan, inputFields, inputFrame, output) }
    case 'filter':
      return { frame: inputFrame, output, keyed: null, ...filterStep(plan, inputFields, inputFrame, output) }
    case 'map': {
      const frame = new Frame(plan.fields)
      return { frame, output, keyed: null, ...mapStep(plan, inputFields, inputFrame, frame, output) }
    }
    case 'dedupe': {
      const fields = node.by.map((by) => resolveFieldPath(inputFields, by, node.name).field)
      const dedupe = new DedupeSet(fields, node.withinMs)
      return {
        frame: inputFrame,
        output,
        keyed: dedupe,
        ...dedupeStep(plan, inputFields, inputFrame, dedupe, output),
      }
    }
    case 'late':
      return { frame: inputFrame, output, keyed: null, run() {} }
    default:
      return unreachable(node)
  }
}

function expectStep(plan: StepPlan, fields: readonly Field[], frame: Frame, output: Selection): RunStep {
  const node = plan.node
  if (node.kind !== 'expect') throw new TypeError('not an expect step')
  const expectations = compileExpectations(node, fields)
  return {
    run: function millraceStep(input, report) {
      const columns = frame.batch.columns
      output.count = 0
      output.reserve(input.count)
      nextRow: for (let i = 0; i < input.count; i++) {
        const row = input.rows[i]!
        for (const expectation of expectations) {
          let message: string | null
          try {
            message = expectation.check(columns, row)
          } catch (error) {
            report.refuse(frame, row, thrown(node.name, error))
            continue nextRow
          }
          if (message !== null) {
            report.refuse(frame, row, { reason: 'invalid', stage: node.name, message, stack: null })
            continue nextRow
          }
        }
        output.rows[output.count++] = row
      }
    },
  }
}

function filterStep(plan: StepPlan, fields: readonly Field[], frame: Frame, output: Selection): RunStep {
  const node = plan.node
  if (node.kind !== 'filter') throw new TypeError('not a filter step')
  const reader = compileRow(fields)
  const predicate = node.predicate as (row: object) => unknown
  return {
    run: function millraceStep(input, report) {
      reader.bind(frame.batch.columns)
      output.count = 0
      output.reserve(input.count)
      let dropped = 0
      for (let i = 0; i < input.count; i++) {
        const row = input.rows[i]!
        let passes: unknown
        try {
          passes = predicate(reader.at(row))
        } catch (error) {
          report.refuse(frame, row, thrown(node.name, error))
          continue
        }
        if (passes) output.rows[output.count++] = row
        else dropped++
      }
      report.drop(node.name, dropped)
    },
  }
}

function mapStep(
  plan: StepPlan,
  fields: readonly Field[],
  from: Frame,
  to: Frame,
  output: Selection,
): RunStep {
  const node = plan.node
  if (node.kind !== 'map') throw new TypeError('not a map step')
  const reader = compileRow(fields)
  const append = compileAppender(plan.fields)
  const transform = node.transform as (row: object) => unknown
  return {
    run: function millraceStep(input, report) {
      reader.bind(from.batch.columns)
      to.startRange(input.count)
      output.count = 0
      output.reserve(input.count)
      let dropped = 0
      for (let i = 0; i < input.count; i++) {
        const row = input.rows[i]!
        let failure: string | null
        try {
          const result = transform(reader.at(row))
          if (result === null) {
            dropped++
            continue
          }
          failure = append(result, to.batch.columns)
        } catch (error) {
          report.refuse(from, row, thrown(node.name, error))
          continue
        }
        if (failure !== null) {
          report.refuse(from, row, { reason: 'invalid', stage: node.name, message: failure, stack: null })
          continue
        }
        const mapped = to.batch.length++
        const at = mapped - to.base
        to.timesMs[at] = from.timesMs[row - from.base]!
        to.watermarksMs[at] = from.watermarksMs[row - from.base]!
        to.records[at] = from.records[row - from.base]!
        to.offsets[at] = from.offsets[row - from.base]!
        output.rows[output.count++] = mapped
      }
      report.drop(node.name, dropped)
    },
  }
}

function dedupeStep(
  plan: StepPlan,
  fields: readonly Field[],
  frame: Frame,
  dedupe: DedupeSet,
  output: Selection,
): RunStep {
  const node = plan.node
  if (node.kind !== 'dedupe') throw new TypeError('not a dedupe step')
  const paths = node.by.map((by) => resolveFieldPath(fields, by, node.name))
  return {
    run(input, report) {
      const columns = paths.map((path) => columnAt(frame.batch.columns, path))
      output.reserve(input.count)
      output.count = dedupe.keep(
        columns,
        input.rows,
        input.count,
        (row) => frame.timesMs[row - frame.base]!,
        (row) => frame.watermarksMs[row - frame.base]!,
        output.rows,
      )
      report.drop(node.name, input.count - output.count)
    },
  }
}

/** The name that the runners of callbacks have in a stack. */
const OWN_FRAME = /\n[^\n]*\bmillraceStep\b[^]*$/

/**
 * The stack ends where our own begins: what called the step depends on how the input was batched, and a dead letter must not.
 */
export function thrown(stage: string, error: unknown): StepRefusal {
  const stack = error instanceof Error ? (error.stack?.replace(OWN_FRAME, '') ?? null) : null
  return { reason: 'processing', stage, message: messageOf(error), stack }
}
