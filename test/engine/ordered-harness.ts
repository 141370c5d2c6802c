import { compileAppender } from '../../src/columns/append.ts'
import type { ColumnBatch } from '../../src/columns/column.ts'
import type { Field } from '../../src/columns/column-type.ts'
import { jsonValueAt } from '../../src/columns/json-value.ts'
import { createMergeWindow } from '../../src/engine/create-merge-window.ts'
import { createWindowStep } from '../../src/engine/create-window-step.ts'
import { Frame, Selection } from '../../src/engine/frame.ts'
import type { FireAt, MergeWindow, ResultReaders } from '../../src/engine/merge-window.ts'
import type { ResultPlan } from '../../src/engine/plan.ts'
import { compileResult } from '../../src/engine/result-plan.ts'
import type { WindowStep } from '../../src/engine/window-step.ts'
import type { AggregateNode, TriggerSpec, UniqueNode, WindowSpec } from '../../src/topology/node.ts'

export interface Row {
  readonly key: string
  readonly timeMs: number
  readonly value: number
  readonly gap?: number | null
}

export const ROW_FIELDS: readonly Field[] = [
  { name: 'key', type: { kind: 'string' }, nullable: false },
  { name: 'at', type: { kind: 'timestamp', unit: 'millis', local: false }, nullable: false },
  { name: 'value', type: { kind: 'int64' }, nullable: false },
  { name: 'gap', type: { kind: 'int64' }, nullable: true },
]

const SOURCE = {
  kind: 'source',
  name: 'rows',
  schema: { avro: {} },
  eventTime: 'at',
  watermark: null,
} as never

/** Sums and lists the values of windows by key. */
export function windowPlan(
  window: WindowSpec,
  options: { allowedLatenessMs?: number; trigger?: TriggerSpec; stage?: number } = {},
): ResultPlan {
  const { allowedLatenessMs = 0, trigger, stage = 0 } = options
  const node: AggregateNode = {
    kind: 'aggregate',
    name: 'windows',
    input: SOURCE,
    keyBy: ['key'],
    window,
    allowedLatenessMs,
    late: 'dead-letter',
    ...(trigger === undefined ? {} : { trigger }),
    aggregates: [
      { name: 'rows', spec: { kind: 'count', field: null } },
      { name: 'total', spec: { kind: 'sum', field: 'value' } },
      { name: 'values', spec: { kind: 'collect', field: 'value', max: 1000 } },
    ],
  }
  return planOf(node, stage)
}

export function uniquePlan(withinMs: number, allowedLatenessMs: number): ResultPlan {
  const late = 'dead-letter'
  return planOf(
    { kind: 'unique', name: 'windows', input: SOURCE, by: ['key'], withinMs, allowedLatenessMs, late },
    0,
  )
}

export function planOf(
  node: AggregateNode | UniqueNode,
  stage: number,
  rowFields: readonly Field[] = ROW_FIELDS,
): ResultPlan {
  return compileResult(node, { stage, input: -1, frame: -1, from: null, rowFields })
}

/** One partition: its rows find a watermark, and leave in epochs. */
export class Partition {
  readonly task: string
  readonly #plan: ResultPlan
  readonly #frame: Frame
  #step: WindowStep
  #offset = 0
  /** Indices of late rows, in the order of all rows of the partition. */
  readonly late: number[] = []

  constructor(plan: ResultPlan, task: string) {
    this.task = task
    this.#plan = plan
    this.#frame = new Frame(plan.rowFields)
    this.#step = createWindowStep(plan, this.#frame, task)
  }

  add(rows: readonly { readonly row: Row; readonly floorMs: number }[]): void {
    const frame = this.#frame
    const append = compileAppender(this.#plan.rowFields)
    frame.startRange(rows.length)
    const selection = new Selection()
    selection.reserve(rows.length)
    const from = this.#offset
    rows.forEach(({ row, floorMs }, i) => {
      const { key, timeMs, value, gap = null } = row
      append({ key, at: timeMs, value, gap }, frame.batch.columns)
      selection.rows[selection.count++] = frame.batch.length++
      frame.timesMs[i] = timeMs
      frame.watermarksMs[i] = floorMs
      frame.offsets[i] = this.#offset++
    })
    const { base } = frame
    const { late } = this.#step
    this.#step.run(selection, {
      refuse: () => {},
      drop: () => {},
    })
    for (let i = 0; i < late.count; i++) this.late.push(from + late.rows[i]! - base)
  }

  /** The partial, through JSON. */
  cut(slices = 1): readonly unknown[] {
    const partials = JSON.parse(JSON.stringify(this.#step.takePartials(slices))) as readonly unknown[]
    this.#frame.clear()
    this.#step.clear()
    return partials
  }

  /** What is written of the sessions at a cut. */
  keyed(kind: 'changes' | 'full', watermarkMs: number): readonly unknown[] {
    const { keyed } = this.#step
    if (keyed === null) return []
    const parts = kind === 'full' ? keyed.takeSnapshot(watermarkMs) : keyed.takeChanges(watermarkMs)
    return [...parts].map((part) => JSON.parse(JSON.stringify(part)) as unknown)
  }

  /** Goes on from what was written, as after a crash. */
  restart(keyed: readonly unknown[]): void {
    this.#step = createWindowStep(this.#plan, this.#frame, this.task)
    for (const part of keyed) this.#step.keyed?.restore(part)
  }
}

/** A merge task's side: its table of newest revisions, file by file, and a topic of upserts. */
export class Merge {
  readonly #plan: ResultPlan
  readonly #readers: ResultReaders
  #window: MergeWindow
  readonly #files = new Map<number, readonly Record<string, unknown>[]>()
  readonly topic = new Map<string, Record<string, unknown>>()
  readonly finals: Record<string, unknown>[] = []
  readonly all: Record<string, unknown>[] = []
  #snapshot: unknown[] = []
  #epoch = 0
  peak = 0

  constructor(plan: ResultPlan, newest = true) {
    this.#plan = plan
    this.#readers = { newest, nextStage: true, topics: [null], topicNames: ['results'] }
    this.#window = this.#create()
  }

  get window(): MergeWindow {
    return this.#window
  }

  get table(): readonly Record<string, unknown>[] {
    return [...this.#files.values()].flat()
  }

  fold(partial: unknown, task: string): void {
    if (partial !== null) this.#window.fold(partial, task)
    this.peak = Math.max(this.peak, this.#window.openPanes)
  }

  fire(at: Omit<FireAt, 'epoch'>): void {
    const epoch = this.#epoch++
    this.#window.fire({ ...at, epoch })
    const { batch, count, written, final, retracted, replacedEpochs } = this.#window.fired
    for (const replaced of replacedEpochs) {
      if (!this.#files.delete(replaced)) throw new Error(`epoch ${replaced} has no file`)
    }
    for (let row = 0; row < retracted.length; row++) {
      if (this.#window.fired.retractedFrom[row] === 0) continue
      if (!this.topic.delete(this.#keyOf(rowOf(retracted, row)))) throw new Error('retracted twice')
    }
    const rows = Array.from({ length: written }, (_, row) => rowOf(batch, row))
    if (rows.length > 0) this.#files.set(epoch, rows)
    for (const row of rows.slice(0, count)) {
      this.topic.set(this.#keyOf(row), row)
      this.all.push(row)
    }
    for (let i = 0; i < final.count; i++) this.finals.push(rowOf(batch, final.rows[i]!))
    this.#window.clear()
    const live = new Set(this.#window.liveEpochs)
    for (const replaced of live) if (!this.#files.has(replaced)) throw new Error(`no file of ${replaced}`)
  }

  /** Writes what changed, or everything; every now and then goes on from what was written. */
  snapshot(kind: 'full' | 'changes'): void {
    const parts = [...this.#window.snapshot(kind)].map((part) => JSON.parse(JSON.stringify(part)) as unknown)
    if (kind === 'full') this.#snapshot = parts
    else this.#snapshot.push(...parts)
  }

  restart(): void {
    this.#window = this.#create()
    for (const part of this.#snapshot) this.#window.restore(part)
  }

  #create(): MergeWindow {
    return createMergeWindow({
      plan: this.#plan,
      rules: { keepFiredPanes: true, allSourcesHoldWatermark: true, parentHoldsWatermark: true },
      readers: this.#readers,
    })
  }

  #keyOf(row: Record<string, unknown>): string {
    return JSON.stringify([row['key'], row['window_start'], row['window_end'], row['window_number']])
  }
}

function rowOf({ columns }: ColumnBatch, row: number): Record<string, unknown> {
  return Object.fromEntries(columns.map((column) => [column.field.name, jsonValueAt(column, row)]))
}

/** What of a row does not depend on timing. */
export function outcome(rows: Iterable<Record<string, unknown>>): readonly string[] {
  return [...rows].map((row) => JSON.stringify({ ...row, revision: undefined })).sort()
}
