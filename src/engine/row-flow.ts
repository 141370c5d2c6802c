import { PipelineError } from '../errors.ts'
import { createWindowStep } from './create-window-step.ts'
import { type Frame, Selection } from './frame.ts'
import type { PartialsJson } from './partial.ts'
import type { Plan } from './plan.ts'
import { createRowStep, type RowStep, type StepReport } from './row-step.ts'
import type { KeyedState, Predecessor, WindowStep } from './window-step.ts'

/** A part of what steps remember by key, such as dedupe sets, by the name of the step: only what changed, or all. */
export interface KeyedOutput {
  readonly kind: 'changes' | 'snapshot'
  readonly steps: Readonly<Record<string, unknown>>
}

/**
 * Keys of 36 characters take 90 bytes each: 1.8 GB for one step of one partition. A process has that for each partition that it owns, so programs that expect as many set a
 * limit of their own.
 */
export const KEYS_MAX_DEFAULT = 20_000_000

/** The steps of a pipeline within one partition, from the source's rows to tables and windows. */
export class RowFlow {
  /** The rows of the range in hand that have an event time: what flows in. */
  readonly timed = new Selection()
  readonly #plan: Plan
  readonly #source: Frame
  readonly #steps: readonly RowStep[]
  readonly #windows: readonly WindowStep[]
  /** Of the epoch, by table. */
  readonly #silver: readonly Selection[]

  constructor(plan: Plan, source: Frame, task: string) {
    this.#plan = plan
    this.#source = source
    const steps: RowStep[] = []
    for (const step of plan.steps) {
      const from = step.input < 0 ? source : steps[step.input]!.frame
      const fields = step.input < 0 ? plan.sourceFields : plan.steps[step.input]!.fields
      steps.push(createRowStep(step, fields, from, new Selection()))
    }
    this.#steps = steps
    this.#windows = plan.results
      .filter((result) => result.stage === 0)
      .map((result) => createWindowStep(result, this.frameOf(result.frame), task))
    this.#silver = plan.silver.map(() => new Selection())
  }

  frameOf(step: number): Frame {
    return step < 0 ? this.#source : this.#steps[step]!.frame
  }

  /** Of a silver table, the epoch's rows. */
  silverRows(table: number): Selection {
    return this.#silver[table]!
  }

  /** Of the rows that maps made in the epoch: what can make them large. */
  get mappedBytes(): number {
    let bytes = 0
    for (const [i, { frame }] of this.#steps.entries()) {
      if (this.#plan.steps[i]!.node.kind === 'map') bytes += frame.textBytes
    }
    return bytes
  }

  /** Sends `timed` through the steps. `late` hears how many rows each window found late. */
  run(report: StepReport, late: (name: string, rows: number) => void): void {
    const hasRun = this.#windows.map(() => false)
    const runWindow = (index: number): WindowStep => {
      const window = this.#windows[index]!
      if (!hasRun[index]) late(window.plan.node.name, window.run(this.#rowsOf(window.plan.input), report))
      hasRun[index] = true
      return window
    }
    for (const [i, step] of this.#steps.entries()) {
      const { node, input } = this.#plan.steps[i]!
      if (node.kind === 'late') {
        const index = this.#windows.findIndex(({ plan }) => plan.node.name === node.input.name)
        step.output.count = 0
        step.output.append(runWindow(index).late)
      } else step.run(this.#rowsOf(input), report)
    }
    for (const i of this.#windows.keys()) runWindow(i)
    for (const [i, { input }] of this.#plan.silver.entries()) this.#silver[i]!.append(this.#rowsOf(input))
  }

  /** What the epoch adds to the windows, by slice; of no slice where it adds nothing. */
  takePartials(): readonly (PartialsJson | null)[] {
    const { slices } = this.#plan
    const partials: (Record<string, unknown> | null)[] = Array.from({ length: slices }, () => null)
    for (const window of this.#windows) {
      for (const [slice, json] of window.takePartials(slices).entries()) {
        if (json !== null) partials[slice] = { ...partials[slice], [window.plan.node.name]: json }
      }
    }
    return partials.every((partial) => partial === null) ? [] : partials
  }

  *cutKeyed(kind: KeyedOutput['kind'], watermarkMs: number): Generator<KeyedOutput> {
    for (const { name, keyed } of this.#keyedStates()) {
      const parts = kind === 'changes' ? keyed.takeChanges(watermarkMs) : keyed.takeSnapshot(watermarkMs)
      for (const part of parts) yield { kind, steps: { [name]: part } }
      this.#checkLimit(name, keyed)
    }
  }

  restoreKeyed(output: KeyedOutput): void {
    for (const { name, keyed } of this.#keyedStates()) {
      const json = output.steps[name]
      if (json !== undefined) keyed.restore(json)
    }
  }

  inheritKeyed(output: KeyedOutput, from: Predecessor): void {
    for (const { name, keyed } of this.#keyedStates()) {
      const json = output.steps[name]
      if (json !== undefined) keyed.inherit(json, from)
    }
  }

  /** Empties the epoch's columns; their memory is kept for the next. */
  clear(): void {
    this.#source.clear()
    for (const step of this.#steps) step.frame.clear()
    for (const selection of this.#silver) selection.count = 0
    for (const window of this.#windows) window.clear()
  }

  #rowsOf(step: number): Selection {
    return step < 0 ? this.timed : this.#steps[step]!.output
  }

  *#keyedStates(): Generator<{ readonly name: string; readonly keyed: KeyedState }> {
    for (const [i, { keyed }] of this.#steps.entries()) {
      const { node } = this.#plan.steps[i]!
      if (keyed !== null && node.kind !== 'late') yield { name: node.name, keyed }
    }
    for (const { keyed, plan } of this.#windows) if (keyed !== null) yield { name: plan.node.name, keyed }
  }

  #checkLimit(name: string, keyed: KeyedState): void {
    const keysMax = this.#plan.spec.limits?.keysMax ?? KEYS_MAX_DEFAULT
    if (keyed.size <= keysMax) return
    throw new PipelineError(
      'STATE_LIMIT',
      `step ${name} remembers ${keyed.size} keys in one partition; limits.keysMax is ${keysMax}`,
      {
        advice:
          'Shorten the horizon of the dedupe or the gap of the sessions, give the topic more partitions, or raise limits.keysMax where there is memory for it.',
      },
    )
  }
}
