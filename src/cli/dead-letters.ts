import { writeFile } from 'node:fs/promises'
import { PipelineError } from '../errors.ts'
import { type Cell, cellText, printable } from './cell.ts'
import { EXIT, type ExitCode, usageError } from './failure.ts'
import { counted, countText } from './format.ts'
import { hexDump } from './hex-dump.ts'
import { fetchProgress } from './fetch-progress.ts'
import { lakeTable } from './lake.ts'
import type { CacheLimits } from './lake-cache.ts'
import { type LakeDatabase, openLakeDatabase } from './lake-database.ts'
import { identifier, text } from './lake-views.ts'
import { openLake } from './open-lake.ts'
import type { Terminal } from './terminal.ts'
import { textTable } from './text-table.ts'

const TABLE = 'dead_letters'

/** One order for both commands, so that a number from `ls` names the same letter in `show`. */
const NUMBERED = `
  select row_number() over (order by _topic, _partition, _offset, incarnation, stage, reason) as n,
         _topic || '/' || _partition || '/' || _offset as position, *
  from ${identifier(TABLE)}`

export interface ListOptions {
  readonly lake: string
  readonly cache: CacheLimits
  readonly reason: string | null
  /** 0 for all. */
  readonly limit: number
}

/** `millrace dead-letters ls`: counts by reason, then one line each. */
export async function deadLettersList(options: ListOptions, terminal: Terminal): Promise<ExitCode> {
  const { out } = terminal
  const database = await openDeadLetters(options, terminal)
  try {
    const counts = await rowsOf(
      database,
      `select reason, stage, count(*) from ${TABLE} group by all order by 3 desc, 1, 2`,
    )
    if (counts.length === 0) {
      await out.line('There are no dead letters.')
      return EXIT.done
    }
    await out.write(countsText(counts, terminal))
    const where = options.reason === null ? '' : ` where reason = ${text(options.reason)}`
    const total = Number((await rowsOf(database, `select count(*) from ${TABLE}${where}`))[0]![0])
    if (total === 0) {
      throw usageError(
        `no dead letter has the reason ${options.reason}`,
        `There are: ${[...new Set(counts.map((row) => cellText(row[0]!)))].join(', ')}.`,
      )
    }
    const limit = options.limit === 0 ? '' : ` limit ${options.limit}`
    const letters = await rowsOf(
      database,
      `select n, position, reason, stage, octet_length(_value), message
       from (${NUMBERED})${where} order by n${limit}`,
    )
    await out.write(`\n${lettersText(letters, terminal)}`)
    const hint = ' One of them whole: millrace dead-letters show <n>'
    const more =
      letters.length < total
        ? ` ${countText(letters.length)} of ${countText(total)} shown (--limit 0 shows all).`
        : ''
    await terminal.err.line(terminal.err.style('dim', `\n${more}${hint}`))
    return EXIT.done
  } finally {
    await database.close()
  }
}

function countsText(counts: readonly (readonly Cell[])[], { out }: Terminal): string {
  const columns = [
    { name: 'reason', numeric: false },
    { name: 'stage', numeric: false },
    { name: 'letters', numeric: true },
  ]
  return textTable(
    columns,
    counts.map(([reason, stage, n]) => [cellText(reason!), cellText(stage!), countText(Number(n))]),
    out,
  )
}

function lettersText(letters: readonly (readonly Cell[])[], { out }: Terminal): string {
  const columns = ['n', 'position', 'reason', 'stage', 'bytes', 'message'].map((name) => ({
    name,
    numeric: name === 'n' || name === 'bytes',
    shrinks: name === 'message',
  }))
  const rows = letters.map((row) =>
    row.map((cell, index) => (index === 4 && cell === null ? 'null' : cellText(cell))),
  )
  return textTable(columns, rows, out)
}

export interface ShowOptions {
  /** A number of `ls`, or topic/partition/offset. */
  readonly which: string
  readonly lake: string
  readonly cache: CacheLimits
  /** Where to write the record's bytes. */
  readonly save: string | null
}

/** `millrace dead-letters show`: one letter whole. A record that two steps refused has two, which share a position. */
export async function deadLettersShow(options: ShowOptions, terminal: Terminal): Promise<ExitCode> {
  const { which, save } = options
  const isNumber = /^\d+$/.test(which)
  if (!isNumber && !/^.+\/\d+\/\d+$/.test(which)) {
    throw usageError(
      `${which} names no dead letter`,
      'Use its number in `millrace dead-letters ls`, or <topic>/<partition>/<offset>.',
    )
  }
  const database = await openDeadLetters(options, terminal)
  try {
    const where = isNumber ? `n = ${which}` : `position = ${text(which)}`
    const letters = await rowsOf(
      database,
      `select n, position, reason, stage, message, stack, pipeline, incarnation, _timestamp, _ingested_at, _processed_at,
              _schema_id, _key, _headers, _value
       from (${NUMBERED}) where ${where} order by n`,
    )
    if (letters.length === 0) {
      throw usageError(`there is no dead letter ${which}`, 'See `millrace dead-letters ls --limit 0`.')
    }
    for (const letter of letters) await terminal.out.write(letterText(letter, terminal))
    if (save !== null) await saveValue(letters[0]!.at(-1)!, save, terminal)
    return EXIT.done
  } finally {
    await database.close()
  }
}

function letterText(letter: readonly Cell[], { out }: Terminal): string {
  const [
    n,
    position,
    reason,
    stage,
    message,
    stack,
    pipeline,
    incarnation,
    timestamp,
    arrived,
    processed,
    schemaId,
    key,
    headers,
    value,
  ] = letter as [Cell, Cell, Cell, Cell, Cell, Cell, Cell, Cell, Cell, Cell, Cell, Cell, Cell, Cell, Cell]
  const line = (label: string, cell: string) => ` ${out.style('dim', label.padEnd(10))} ${cell}`
  const lines = [
    out.style('bold', ` dead letter ${cellText(n)}`),
    line('position', `${cellText(position)}  (topic/partition/offset)`),
    line('reason', out.style('red', cellText(reason))),
    line('stage', cellText(stage)),
    line('message', cellText(message)),
    line('pipeline', `${cellText(pipeline)}, incarnation ${cellText(incarnation)}`),
    line('timestamp', cellText(timestamp)),
    line('arrived', cellText(arrived)),
    line('processed', cellText(processed)),
    line('schema id', schemaId === null ? 'none' : cellText(schemaId)),
    line('key', key === null ? 'null' : cellText(key)),
    ...headerLines(headers, line),
    ...(stack === null || typeof stack !== 'string'
      ? []
      : [line('stack', ''), ...stack.split('\n').map((frame) => `   ${printable(frame)}`)]),
    value === null
      ? line('value', 'null (a tombstone)')
      : line('value', counted(bytesOf(value).length, 'byte')),
    ...(value === null ? [] : [hexDump(bytesOf(value))]),
  ]
  return `${lines.join('\n')}\n\n`
}

function headerLines(headers: Cell, line: (label: string, text: string) => string): readonly string[] {
  if (headers === null || typeof headers !== 'object' || headers.kind !== 'list') return []
  return headers.elements.map((header, index) => {
    const entries = new Map(typeof header === 'object' && header?.kind === 'struct' ? header.entries : [])
    const value = entries.get('value') ?? null
    return line(
      index === 0 ? 'headers' : '',
      `${cellText(entries.get('key') ?? null)}: ${value === null ? 'null' : cellText(value)}`,
    )
  })
}

async function saveValue(value: Cell, file: string, { err }: Terminal): Promise<void> {
  if (value === null) throw usageError('the record has no bytes: its value is null', 'Leave out --save.')
  await writeFile(file, bytesOf(value))
  await err.line(`${counted(bytesOf(value).length, 'byte')} written to ${file}`)
}

function bytesOf(value: Cell): Uint8Array {
  return typeof value === 'object' && value?.kind === 'bytes' ? value.bytes : new Uint8Array(0)
}

/** The lake is closed with the database. */
async function openDeadLetters(
  { lake: name, cache }: { readonly lake: string; readonly cache: CacheLimits },
  terminal: Terminal,
): Promise<LakeDatabase> {
  const lake = await openLake(name)
  try {
    await lake.checkThere()
    const table = await lakeTable(lake, TABLE)
    if (table === null) {
      throw new PipelineError('NO_DEAD_LETTERS', `${name} has no table of dead letters`, {
        advice:
          'It is made by the first run of a pipeline, unless its dead letters go to a topic or a stream: then read that one. Is this the right lake?',
      })
    }
    const files = await lake.openFiles({ ...cache, onProgress: fetchProgress(terminal.err) })
    const database = await openLakeDatabase(files, [table])
    return {
      query: (sql) => database.query(sql),
      close: async () => {
        await database.close()
        await lake.close()
      },
    }
  } catch (error) {
    await lake.close()
    throw error
  }
}

async function rowsOf(database: LakeDatabase, sql: string): Promise<readonly (readonly Cell[])[]> {
  const rows: (readonly Cell[])[] = []
  for await (const chunk of (await database.query(sql)).chunks()) rows.push(...chunk)
  return rows
}
