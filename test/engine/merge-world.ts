import { compileRow } from '../../src/columns/row.ts'
import type { ColumnBatch } from '../../src/columns/column.ts'
import {
  type MergeOutput,
  type MergeSnapshot,
  type MergeState,
  MergeTask,
} from '../../src/engine/merge-task.ts'
import type { PanesJson, PartialsJson } from '../../src/engine/partial.ts'
import { compilePlan, type Plan } from '../../src/engine/plan.ts'
import type {
  AggregateNode,
  HavingNode,
  PipelineSpec,
  ResultNode,
  SourceNode,
  StateLimitsSpec,
  TriggerSpec,
  WindowSpec,
} from '../../src/topology/node.ts'

/** A merge task by hand: partials go in as small tables, and what comes out is kept as tables and topics keep it. */

const source: SourceNode = {
  kind: 'source',
  name: 'trips',
  schema: {
    avro: {
      type: 'record',
      name: 'Trip',
      fields: [
        { name: 'zone', type: 'string' },
        { name: 'at', type: { type: 'long', logicalType: 'timestamp-millis' } },
        { name: 'fare', type: 'double' },
      ],
    },
  },
  eventTime: 'at',
  watermark: { kind: 'bounded-out-of-orderness', boundMs: 0, idleAfterMs: null, futureLimitMs: 1e15 },
}

export const RULES = { keepFiredPanes: true, allSourcesHoldWatermark: true, parentHoldsWatermark: true }

export interface Program {
  readonly window?: WindowSpec
  readonly trigger?: TriggerSpec
  readonly allowedLatenessMs?: number
  readonly limits?: StateLimitsSpec
  /** Those of the table that keeps the newest revisions, and of the topic. */
  readonly having?: (row: ResultRow) => boolean
  /** A window over the results, of so many milliseconds. */
  readonly upperMs?: number
  /** None but the table with all revisions. */
  readonly allOnly?: boolean
}

export interface ResultRow {
  readonly zone: string
  readonly window_start: number | null
  readonly window_end: number | null
  readonly trips: bigint
  readonly fares: number | null
  readonly revision: number
}

export function aggregateOf(program: Program): AggregateNode {
  return {
    kind: 'aggregate',
    name: 'fares',
    input: source,
    keyBy: ['zone'],
    window: program.window ?? { kind: 'tumbling', sizeMs: 10, offsetMs: 0 },
    allowedLatenessMs: program.allowedLatenessMs ?? 0,
    late: 'drop',
    ...(program.trigger === undefined ? {} : { trigger: program.trigger }),
    aggregates: [
      { name: 'trips', spec: { kind: 'count', field: null } },
      { name: 'fares', spec: { kind: 'sum', field: 'fare' } },
    ],
  }
}

const tableOptions = {
  compression: 'snappy',
  rowGroupRows: 1000,
  fileRowsMax: 1000,
  dictionary: null,
} as const

export function planOf(program: Program): Plan {
  const aggregate = aggregateOf(program)
  const having: HavingNode | null =
    program.having === undefined
      ? null
      : {
          kind: 'having',
          name: 'chosen',
          input: aggregate,
          predicate: program.having,
        }
  const upper: AggregateNode | null =
    program.upperMs === undefined
      ? null
      : {
          kind: 'aggregate',
          name: 'upper',
          input: having ?? aggregate,
          keyBy: [],
          window: { kind: 'tumbling', sizeMs: program.upperMs, offsetMs: 0 },
          allowedLatenessMs: 0,
          late: 'drop',
          aggregates: [
            { name: 'results', spec: { kind: 'count', field: null } },
            { name: 'fares', spec: { kind: 'sum', field: 'fares' } },
          ],
        }
  const table = (name: string, input: ResultNode) => ({
    layer: 'gold' as const,
    name,
    input,
    partitionBy: [],
    options: tableOptions,
  })
  const spec: PipelineSpec = {
    name: 'test',
    source,
    tables: [
      ...(program.allOnly === true ? [] : [table('newest', having ?? aggregate)]),
      { ...table('all', aggregate), revisions: 'all' },
      ...(upper === null ? [] : [table('upper', upper)]),
    ],
    topics: program.allOnly === true ? [] : [{ kind: 'topic', name: 'results', input: having ?? aggregate }],
    circuitBreaker: null,
    ...(program.limits === undefined ? {} : { limits: program.limits }),
  }
  return compilePlan(spec, ['trips'])
}

/** Of one pane of a partial: so many trips, of one fare each. */
export interface PartialRow {
  readonly zone: string
  readonly startMs: number
  readonly fares: readonly number[]
}

export interface Epoch {
  readonly task: string
  readonly watermarkMs: number
  readonly idle?: boolean
  readonly rows?: readonly PartialRow[]
}

/** What a cut gave, in a form that can be compared: rows in an order of their own. */
export interface Written {
  readonly tables: Readonly<
    Record<string, { readonly rows: readonly string[]; readonly replaces: readonly number[] }>
  >
  readonly topic: readonly string[]
  readonly retracted: readonly string[]
  /** By slice: start and states of each pane. */
  readonly partials: readonly (readonly string[])[]
}

export class MergeWorld {
  readonly plan: Plan
  readonly sources: readonly string[]
  task: MergeTask
  epoch = 0
  /** Rows by table path and epoch: its files. */
  readonly files = new Map<string, Map<number, readonly ResultRow[]>>()
  /** By key and window: the last value, without those that are null. */
  readonly topic = new Map<string, ResultRow>()
  readonly #countsRows: boolean

  constructor(program: Program, sources: readonly string[] = ['trips-0']) {
    this.plan = planOf(program)
    this.sources = sources
    this.#countsRows = program.trigger?.earlyEveryRows !== undefined
    this.task = new MergeTask(this.plan, { stage: 0, slice: 0, tasks: sources, state: null, rules: RULES })
  }

  fold({ task, watermarkMs, idle = false, rows = [] }: Epoch): void {
    const states = [
      rows.map(({ fares }) => fares.length),
      rows.map(({ fares }) => [fares.length, fares.reduce((sum, fare) => sum + fare, 0)]),
    ]
    if (this.#countsRows) states.push(rows.map(({ fares }) => fares.length))
    const fares = {
      keys: [rows.map(({ zone }) => zone)],
      windowStartsMs: rows.map(({ startMs }) => startMs),
      states,
    }
    this.task.fold({
      task,
      epoch: (this.task.progressOf(task)?.epoch ?? -1) + 1,
      watermarkMs,
      idle,
      ended: watermarkMs === Infinity,
      lastArrivalMs: 0,
      partials: rows.length === 0 ? null : { fares },
    })
  }

  cut(nowMs = 0): Written {
    const epoch = this.epoch++
    const output = this.task.cut({ epoch, nowMs })
    const written = this.#written(output, epoch)
    this.task.clear()
    return written
  }

  /** Folds and cuts. */
  step(epoch: Epoch, nowMs = 0): Written {
    this.fold(epoch)
    return this.cut(nowMs)
  }

  /** What a reader of the table sees. */
  rowsOf(table: string): readonly ResultRow[] {
    return [...(this.files.get(`gold/${table}`)?.values() ?? [])].flat()
  }

  /** As `zone start trips fares revision`, sorted. */
  linesOf(table: string): readonly string[] {
    return this.rowsOf(table).map(lineOf).sort()
  }

  snapshot(kind: 'full' | 'changes'): readonly string[] {
    return [...this.task.snapshot(kind)].map((part) => JSON.stringify(part))
  }

  /** Goes on with a task made from what is at rest; as after a crash. */
  restart(lines: readonly string[], state: MergeState = this.task.state): void {
    this.task = new MergeTask(this.plan, { stage: 0, slice: 0, tasks: [], state, rules: RULES })
    for (const line of lines) this.task.restore(JSON.parse(line) as MergeSnapshot)
  }

  #written({ tables, topics, partials }: MergeOutput, epoch: number): Written {
    const written: Record<string, { rows: readonly string[]; replaces: readonly number[] }> = {}
    for (const { shape, batch, selection, count, replaces } of tables) {
      const rows = rowsIn(batch, selection, count)
      const files = this.files.get(shape.path) ?? new Map<number, readonly ResultRow[]>()
      this.files.set(shape.path, files)
      for (const replaced of replaces) files.delete(replaced)
      files.set(epoch, rows)
      written[shape.path] = { rows: rows.map(lineOf).sort(), replaces: [...replaces].sort((a, b) => a - b) }
    }
    const lines: string[] = []
    const retracted: string[] = []
    for (const topic of topics) {
      for (const row of rowsIn(topic.retracted.batch, topic.retracted.selection, topic.retracted.count)) {
        retracted.push(`${row.zone} ${row.window_start}`)
        this.topic.delete(`${row.zone} ${row.window_start}`)
      }
      for (const row of rowsIn(topic.batch, topic.selection, topic.count)) {
        lines.push(lineOf(row))
        this.topic.set(`${row.zone} ${row.window_start}`, row)
      }
    }
    return {
      tables: written,
      topic: lines.sort(),
      retracted: retracted.sort(),
      partials: partials.map(panesOf),
    }
  }
}

export function lineOf(row: ResultRow): string {
  return `${row.zone} ${row.window_start} ${row.trips} ${row.fares} r${row.revision}`
}

function rowsIn(batch: ColumnBatch, selection: Int32Array | null, count: number): readonly ResultRow[] {
  const reader = compileRow(batch.columns.map(({ field }) => field))
  reader.bind(batch.columns)
  return Array.from({ length: count }, (_, i) => ({
    ...(reader.at(selection === null ? i : selection[i]!) as ResultRow),
  }))
}

/** In an order of their own: they have none that means anything. */
function panesOf(partials: PartialsJson | null): readonly string[] {
  const { windowStartsMs = [], states = [] } = (partials?.['upper'] ?? {}) as Partial<PanesJson>
  return windowStartsMs
    .map((startMs, i) => `${startMs} ${JSON.stringify(states.map((column) => column[i]))}`)
    .sort()
}
