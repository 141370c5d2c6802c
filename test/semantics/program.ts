import {
  ascending,
  avroSchema,
  boundedOutOfOrderness,
  bronze,
  countWindow,
  customWatermark,
  globalWindow,
  gold,
  hopping,
  millis,
  pipeline,
  type PipelineSpec,
  punctuated,
  session,
  silver,
  sliding,
  stream,
  type TopicNode,
  tumbling,
} from 'millrace'
import { unreachable } from '../../src/errors.ts'
import type {
  CaseAggregates,
  CaseProgram,
  CaseStage,
  CaseWatermark,
  CaseWindow,
  SemanticsCase,
} from './case.ts'

interface Event {
  readonly key: string | null
  readonly at: number | null
  readonly value: bigint | null
  readonly score: number | null
  readonly gap: bigint | null
  readonly mark: number | null
  readonly place: { readonly zone: string }
}

const INSTANT = { type: 'long', logicalType: 'timestamp-millis' }

/** The rows of all cases. */
export const EVENT = {
  type: 'record',
  name: 'Event',
  fields: [
    { name: 'key', type: ['null', 'string'] },
    { name: 'at', type: ['null', INSTANT] },
    { name: 'value', type: ['null', 'long'] },
    { name: 'score', type: ['null', 'double'] },
    { name: 'gap', type: ['null', 'long'] },
    { name: 'mark', type: ['null', INSTANT] },
    { name: 'place', type: { type: 'record', name: 'Place', fields: [{ name: 'zone', type: 'string' }] } },
  ],
} as const

/** What cases call by name. */
const FUNCTIONS = {
  'two before': (_: Event, atMs: number) => atMs - 2,
  'the mark, or a throw': ({ mark }: Event) => {
    if (mark !== null && mark < 0) throw new Error('no mark below zero')
    return mark
  },
  'the first letter': ({ key }: Event) => key?.slice(0, 1) ?? null,
  'a throw for x': ({ key }: Event) => {
    if (key === 'x') throw new Error('no x please')
    return key
  },
  'even value': ({ value }: Event) => value !== null && value % 2n === 0n,
  'value above 1': ({ value }: Event) => value !== null && value > 1n,
  'even, or a throw below zero': ({ value }: Event) => {
    if (value !== null && value < 0n) throw new Error('nothing below zero')
    return value !== null && value % 2n === 0n
  },
  'two rows or more': ({ rows }: { readonly rows: bigint }) => rows >= 2n,
  'sum above 3': ({ sum }: { readonly sum: bigint }) => sum > 3n,
} as const

const functionOf = (name: string): never => {
  const found = (FUNCTIONS as Readonly<Record<string, unknown>>)[name]
  if (found === undefined) throw new Error(`no function '${name}'`)
  return found as never
}

/** Keys are fields, or functions by their name: the column is then `computed`. */
const keysOf = (names: readonly string[]): never[] =>
  names.map(
    (name) =>
      (name in FUNCTIONS
        ? { name: 'computed', type: ['null', 'string'], of: functionOf(name) }
        : name) as never,
  )

const PLAIN: CaseAggregates = { rows: ['count'], sum: ['sum', 'value'] }

/** The program of a case, through the public API: the types are those of a program that is not known yet. */
export function programOf({ program }: SemanticsCase): PipelineSpec {
  const events = stream('events', avroSchema<Event, never>(EVENT), {
    eventTime: 'at',
    watermark: watermarkOf(program.watermark ?? { kind: 'ascending' }) as never,
  })
  const tables = [bronze('events', events)]
  const rows = rowsOf(program, events as never)
  const keyed = rows.keyBy(...keysOf(program.keyBy ?? ['key']))
  if (program.unique !== undefined) tables.push(silver('unique', rows as never))
  if (program.window !== undefined) {
    const { allowedLateness = 0, late = 'dead-letter', early, refine } = program
    const options =
      program.window.kind === 'global'
        ? { ...earlyOf(early) }
        : { allowedLateness: millis(allowedLateness), late, ...earlyOf(early), ...(refine ? { refine } : {}) }
    const overRows = program.unique === undefined ? options : { ...options, late: undefined }
    const results = keyed
      .window(windowOf(program.window), overRows)
      .aggregate('results', columnsOf(program.aggregates ?? PLAIN))
    if (late === 'side-table') tables.push(silver('late', results.late as never))
    const passed =
      program.having === undefined ? results : results.having('worth_it', functionOf(program.having))
    tables.push(gold(program.above === undefined ? 'results' : 'below', passed as never))
    if (program.above !== undefined) tables.push(gold('results', stageOf(program.above, passed) as never))
  }
  const { slices } = program
  return pipeline({
    name: 'semantics',
    tables,
    ...(slices === undefined ? {} : { mergeParallelism: slices }),
  })
}

/** What is written to the last gold table goes to a topic too: a topic has the revisions, and what is taken back. */
export function withResultsTopic(spec: PipelineSpec): PipelineSpec {
  const { input } = spec.tables.findLast(({ layer }) => layer === 'gold')!
  return { ...spec, topics: [{ kind: 'topic', name: 'out', input: input as TopicNode['input'] }] }
}

/** As much of the builder as a case needs, without the types of its fields. */
interface Rows {
  filter(name: string, predicate: never): Rows
  dedupe(name: string, options: object): Rows
  unique(name: string, options: object): Rows
  keyBy(...keys: readonly never[]): { window(window: object, options: object): Windowed }
}

interface Windowed {
  aggregate(name: string, columns: (make: never) => object): Results
}

interface Results extends Pick<Rows, 'keyBy'> {
  readonly late: unknown
  having(name: string, predicate: never): Results
}

function rowsOf({ filter, dedupe, unique }: CaseProgram, events: Rows): Rows {
  let rows = events
  if (filter !== undefined) rows = rows.filter('some', functionOf(filter))
  if (dedupe !== undefined) rows = rows.dedupe('once', { by: dedupe.by, within: millis(dedupe.within) })
  if (unique === undefined) return rows
  const { by, within, allowedLateness } = unique
  return rows.unique('unique', { by, within: millis(within), allowedLateness: millis(allowedLateness) })
}

function stageOf(
  { keyBy, window, allowedLateness = 0, aggregates, having }: CaseStage,
  below: Results,
): Results {
  const results = below
    .keyBy(...keysOf(keyBy))
    .window(windowOf(window), { allowedLateness: millis(allowedLateness) })
    .aggregate('above', columnsOf(aggregates))
  return having === undefined ? results : results.having('worth_it_above', functionOf(having))
}

function earlyOf(early: CaseProgram['early']): object {
  if (early === undefined) return {}
  const { every, rows } = early
  return {
    early: {
      ...(every === undefined ? {} : { every: millis(every) }),
      ...(rows === undefined ? {} : { rows }),
    },
  }
}

function watermarkOf(watermark: CaseWatermark): object {
  const options = {
    ...(watermark.idleAfter === undefined ? {} : { idleAfter: millis(watermark.idleAfter) }),
    ...(watermark.futureLimit === undefined ? {} : { futureLimit: millis(watermark.futureLimit) }),
  }
  switch (watermark.kind) {
    case 'bounded':
      return boundedOutOfOrderness(millis(watermark.bound), options)
    case 'ascending':
      return ascending(options)
    case 'punctuated':
      return punctuated(watermark.field, options)
    case 'custom':
      return customWatermark(functionOf(watermark.function), options)
    default:
      return unreachable(watermark)
  }
}

function windowOf(window: CaseWindow): object {
  switch (window.kind) {
    case 'tumbling':
      return tumbling(millis(window.size), { offset: millis(window.offset ?? 0) })
    case 'calendar': {
      const { unit, timeZone, weekStartsOn = 'monday' } = window
      return tumbling(unit as 'week', {
        timeZone,
        ...(unit === 'week' ? { weekStartsOn: weekStartsOn as 'monday' } : {}),
      })
    }
    case 'hopping':
      return hopping(millis(window.size), { every: millis(window.every), offset: millis(window.offset ?? 0) })
    case 'sliding':
      return sliding(millis(window.size))
    case 'session':
      return session(millis(window.gap), window.gapField === undefined ? {} : { gapField: window.gapField })
    case 'count':
      return countWindow(window.rows)
    case 'global':
      return globalWindow()
    default:
      return unreachable(window)
  }
}

function columnsOf(aggregates: CaseAggregates): (make: never) => object {
  return (make: Readonly<Record<string, (...args: unknown[]) => unknown>>) =>
    Object.fromEntries(
      Object.entries(aggregates).map(([column, [name, ...args]]) => [
        column,
        make[name]!(
          ...args.map((arg) => (typeof arg === 'string' && arg in FUNCTIONS ? functionOf(arg) : arg)),
        ),
      ]),
    )
}
