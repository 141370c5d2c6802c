import { messageOf, unreachable } from '../errors.ts'
import type { RunSummary } from '../runtime/bindings.ts'
import { keyColumnName } from '../topology/key.ts'
import type { PipelineSpec, ResultNode } from '../topology/node.ts'
import { isResult } from '../topology/table-fields.ts'
import { counted, countText, durationText, timeText } from './format.ts'
import { fetchProgress } from './fetch-progress.ts'
import { lakeTable } from './lake.ts'
import { CACHE_DEFAULT } from './lake-cache.ts'
import { openLakeDatabase } from './lake-database.ts'
import { identifier } from './lake-views.ts'
import { LAKE_DEFAULT } from './option-values.ts'
import type { OpenLake } from './open-lake.ts'
import { printTable } from './query.ts'
import type { ReplayOptions } from './replay.ts'
import type { Terminal } from './terminal.ts'
import { textTable } from './text-table.ts'

export interface ReplayOutcome {
  readonly spec: PipelineSpec
  readonly summary: RunSummary
  readonly recording: string
  readonly lake: OpenLake
  readonly options: ReplayOptions
  /** A person or a supervisor asked it to stop. */
  readonly asked: boolean
}

const GOLD_ROWS = 5
/** More is not fetched from afar for a few lines. */
const GOLD_BYTES_MAX = 64 * 1024 * 1024
/** What takes less is mostly the start, so that its rate says nothing. */
const RATE_MS_MIN = 1_000
/** Longer commands have their explanation right behind them. */
const COMMAND_WIDTH_MAX = 76

/** What a run did, the first rows of the result, and what to try next. */
export async function printReplaySummary(outcome: ReplayOutcome, terminal: Terminal): Promise<void> {
  const { out } = terminal
  const { spec, summary } = outcome
  await out.line(headline(outcome, terminal))
  if (summary.outcome === 'lost') return
  await out.line()
  await out.write(tablesText(summary, terminal))
  await printCounts(summary, terminal)
  await printTopics(spec, terminal)
  try {
    await printGold(outcome, terminal)
  } catch (error) {
    // The work is done and published: a failure to show it is not one of the replay.
    await terminal.err.line(`The first rows cannot be shown: ${messageOf(error)}`)
  }
  await printNext(outcome, terminal)
}

function headline({ summary, recording, options, asked }: ReplayOutcome, { out }: Terminal): string {
  const read = `${counted(summary.records, 'record')} of ${recording} in ${durationText(summary.durationMs)}`
  switch (summary.outcome) {
    case 'completed': {
      const rate =
        summary.durationMs < RATE_MS_MIN
          ? ''
          : ` (${countText(Math.round(summary.records / (summary.durationMs / 1_000)))} rows/s)`
      return `${out.style('green', 'Done')}: read ${read}${rate}; everything is published.`
    }
    case 'nothing-to-do':
      return `${out.style('green', 'Everything is read and published')}; nothing changed.`
    case 'stopped': {
      const why = asked || options.untilMs === null ? '' : ` at arrival time ${timeText(options.untilMs)}`
      return `${out.style('yellow', 'Stopped')}${why} after ${read}.\nWhat was read is published; the same command ${asked ? '' : 'without --until '}continues.`
    }
    case 'lost':
      return `Stopped after ${read}.`
    default:
      return unreachable(summary.outcome)
  }
}

function tablesText(summary: RunSummary, { out }: Terminal): string {
  const changed = summary.tables.some((table) => table.rowsAdded > 0)
  const columns = [
    { name: 'table', numeric: false },
    ...['rows', 'files', ...(changed ? ['new rows', 'new files'] : [])].map((name) => ({
      name,
      numeric: true,
    })),
  ]
  const rows = summary.tables.map((table) => [
    table.path.replaceAll('/', '.'),
    countText(table.rows),
    countText(table.files),
    ...(changed ? [countText(table.rowsAdded), countText(table.filesAdded)] : []),
  ])
  return textTable(columns, rows, out)
}

async function printCounts({ totals }: RunSummary, { out }: Terminal): Promise<void> {
  await out.line()
  const lines: readonly (readonly [string, Readonly<Record<string, number>>])[] = [
    ['dead letters', totals.deadLetters],
    ['late rows', totals.late],
    ['dropped rows', totals.dropped],
  ]
  for (const [label, counts] of lines) {
    const entries = Object.entries(counts).filter(([, count]) => count > 0)
    const total = entries.reduce((sum, [, count]) => sum + count, 0)
    const parts = entries.sort((a, b) => b[1] - a[1]).map(([name, count]) => `${name} ${countText(count)}`)
    const head = ` ${label.padEnd(13)} ${countText(total).padStart(9)}  `
    await out.line(`${head}${wrapped(parts, head.length, out.width ?? Infinity)}`.trimEnd())
  }
}

/** A replay is to be safe at any time, so it leaves what is outside the lake alone. */
async function printTopics({ topics = [] }: PipelineSpec, { out }: Terminal): Promise<void> {
  if (topics.length === 0) return
  const names = topics.map(({ name }) => name).join(', ')
  await out.line(` ${'topics'.padEnd(13)} ${'0'.padStart(9)}  not written in a replay: ${names}`)
}

/** Joined by commas, on as many lines as are needed, each `indent` from the left. */
function wrapped(parts: readonly string[], indent: number, width: number): string {
  let text = ''
  let column = indent
  for (const [index, part] of parts.entries()) {
    const piece = index === parts.length - 1 ? part : `${part}, `
    if (column + piece.trimEnd().length > width && column > indent) {
      text = `${text.trimEnd()}\n${' '.repeat(indent)}`
      column = indent
    }
    text += piece
    column += piece.length
  }
  return text
}

/** The key columns of results, also of those that `having` lets pass. */
function keysOf(node: ResultNode): readonly string[] {
  if (node.kind === 'having') return keysOf(node.input)
  return node.kind === 'aggregate' ? node.keyBy.map(keyColumnName) : []
}

/** The order of a gold table is that of its windows, then of its keys. */
async function printGold({ spec, summary, lake }: ReplayOutcome, terminal: Terminal): Promise<void> {
  const gold = summary.tables.find((table) => table.path.startsWith('gold/') && table.rows > 0)
  if (gold === undefined) return
  const node = spec.tables.find((table) => `${table.layer}/${table.name}` === gold.path)
  const keys = node === undefined || !isResult(node.input) ? [] : keysOf(node.input)
  const order = ['window_start', ...keys].map(identifier).join(', ')
  const sqlName = gold.path.replace('/', '.')
  const table = await lakeTable(lake, gold.path)
  if (table === null) return
  const bytes = [...table.state.files.values()].reduce((sum, file) => sum + file.size, 0)
  if (!lake.isLocal && bytes > GOLD_BYTES_MAX) return
  const files = await lake.openFiles({ ...CACHE_DEFAULT, onProgress: fetchProgress(terminal.err) })
  const database = await openLakeDatabase(files, [table])
  try {
    const [schema, name] = gold.path.split('/').map(identifier)
    const result = await database.query(
      `select * from ${schema}.${name} order by ${order} limit ${GOLD_ROWS}`,
    )
    await terminal.out.line(
      `\n${terminal.out.style('bold', sqlName)}, the first of ${counted(gold.rows, 'row')}:\n`,
    )
    await printTable(result, 0, terminal)
  } finally {
    await database.close()
  }
}

async function printNext({ spec, summary, options }: ReplayOutcome, { out }: Terminal): Promise<void> {
  const command = commandName()
  const lake = options.lake === LAKE_DEFAULT ? '' : ` --lake ${options.lake}`
  const filled = summary.tables.filter((entry) => entry.rows > 0)
  const table = filled.find((entry) => entry.path.startsWith('gold/')) ?? filled[0]
  const commands: (readonly [string, string])[] = []
  if (table !== undefined) {
    const name = table.path.replaceAll('/', '.')
    const newest = table.path.startsWith('gold/') ? ' order by window_start desc' : ''
    commands.push([`${command} query "select * from ${name}${newest} limit 20"${lake}`, 'SQL (DuckDB)'])
  }
  commands.push([`${command} tables --columns${lake}`, 'what there is to ask for'])
  if (Object.values(summary.totals.deadLetters).some((count) => count > 0)) {
    commands.push([`${command} dead-letters ls${lake}`, 'the records that went no further, and why'])
  }
  commands.push([`${command} describe ${options.path}`, `the plan of '${spec.name}'`])
  if (summary.outcome === 'nothing-to-do') commands.push([freshCommand(command, options), 'begin again'])
  const width = Math.max(
    ...commands.map(([text]) => text.length).filter((length) => length <= COMMAND_WIDTH_MAX),
  )
  await out.line('\nNext:')
  for (const [text, why] of commands) {
    const line = `  ${text.padEnd(width)}  `
    const fits = line.length + why.length + 2 <= (out.width ?? Infinity)
    await out.line(fits ? `${line}${out.style('dim', `# ${why}`)}` : line.trimEnd())
  }
}

/** Under npm the command is not on the path of the shell that the person types into. */
function commandName(): string {
  return process.env['npm_config_user_agent'] === undefined ? 'millrace' : 'npx millrace'
}

function freshCommand(command: string, options: ReplayOptions): string {
  if (process.env['npm_lifecycle_event'] === 'start') return 'npm start -- --fresh'
  const recording = options.recording === null ? '' : ` --recording ${options.recording}`
  return `${command} replay ${options.path}${recording} --lake ${options.lake} --fresh`
}
