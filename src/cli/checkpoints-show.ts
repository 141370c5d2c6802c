import { ChainKeys } from '../checkpoint/keys.ts'
import type { ChainRecord } from '../checkpoint/record.ts'
import { PipelineError } from '../errors.ts'
import type { ObjectStore } from '../ports.ts'
import type { IncarnationRecord } from '../runtime/incarnation.ts'
import { chainsOf, incarnationsOf, inTurn, type ListedChain, listChain, readRecord } from './chain-records.ts'
import { kindText } from './checkpoints-ls.ts'
import { EXIT, type ExitCode, usageError } from './failure.ts'
import { countText, timeText } from './format.ts'
import { openLake } from './open-lake.ts'
import { recordText } from './record-text.ts'
import type { Terminal } from './terminal.ts'
import { textTable } from './text-table.ts'

export interface ShowOptions {
  readonly lake: string
  readonly pipeline: string
  readonly task: string | null
  /** A number, or 'last'. */
  readonly epoch: string | null
  /** Null: the newest. */
  readonly incarnation: string | null
  readonly format: 'table' | 'json'
}

/** `millrace checkpoints show`: an incarnation, the records of a task, or one of them. */
export async function checkpointsShow(options: ShowOptions, terminal: Terminal): Promise<ExitCode> {
  const lake = await openLake(options.lake)
  try {
    await lake.checkThere()
    const { store } = lake
    const incarnation = chosen(await incarnationsOf(store, options.pipeline), options.incarnation)
    const keys = new ChainKeys(incarnation.pipeline, incarnation.incarnation)
    if (options.task === null) await showIncarnation(store, keys, incarnation, options, terminal)
    else {
      const chain = await knownChain(store, keys, options.task)
      if (options.epoch === null) await showChain(store, keys, chain, options, terminal)
      else {
        const record = await chosenRecord(store, keys, chain, options.epoch)
        const text =
          options.format === 'json'
            ? `${JSON.stringify(record, null, 2)}\n`
            : recordText(record, terminal.out)
        await terminal.out.write(text)
      }
    }
    return EXIT.done
  } finally {
    await lake.close()
  }
}

function chosen(incarnations: readonly IncarnationRecord[], named: string | null): IncarnationRecord {
  if (named === null) return incarnations.at(-1)!
  const found = incarnations.find(({ incarnation }) => String(incarnation) === named)
  if (found !== undefined) return found
  throw usageError(
    `there is no incarnation ${named}`,
    `There are: ${incarnations.map(({ incarnation }) => incarnation).join(', ')}.`,
  )
}

async function knownChain(store: ObjectStore, keys: ChainKeys, task: string): Promise<ListedChain> {
  const chain = await listChain(store, keys, task)
  if (chain.epochs.length > 0) return chain
  const tasks = (await chainsOf(store, keys)).map((known) => known.task)
  throw usageError(
    `there is no task ${task}`,
    tasks.length === 0 ? 'Nothing was recorded yet.' : `There are: ${tasks.join(', ')}.`,
  )
}

async function chosenRecord(
  store: ObjectStore,
  keys: ChainKeys,
  { task, epochs, stray }: ListedChain,
  named: string,
): Promise<ChainRecord> {
  if (named === 'last') {
    for (const epoch of epochs.toReversed()) {
      const record = await readRecord(store, keys, task, epoch)
      if (record?.kind === 'data') return record
    }
    throw usageError(`${task} has no record of work yet`, 'See its claims with an epoch.')
  }
  if (!/^\d+$/.test(named)) throw usageError(`${named} is no epoch`, 'Use a number, or last.')
  const record = await readRecord(store, keys, task, Number(named))
  if (record !== null) return record
  const first = epochs[0]!
  const kept = `Kept are ${first} to ${epochs.at(-1)!}${stray.length > 0 ? `, and ${stray.join(', ')} from before` : ''}.`
  throw new PipelineError('RECORD_NOT_FOUND', `${task} has no record ${named}`, {
    advice: Number(named) < first ? `${kept} Older ones were not needed any more, and are deleted.` : kept,
  })
}

async function showIncarnation(
  store: ObjectStore,
  keys: ChainKeys,
  incarnation: IncarnationRecord,
  { format }: ShowOptions,
  terminal: Terminal,
): Promise<void> {
  const { out } = terminal
  const chains = await chainsOf(store, keys)
  if (format === 'json') {
    const tasks = chains.map(({ task, epochs }) => ({
      task,
      first: epochs[0] ?? null,
      last: epochs.at(-1) ?? null,
    }))
    await out.line(JSON.stringify({ ...incarnation, tasks }, null, 2))
    return
  }
  const lines = [
    out.style('bold', ` ${incarnation.pipeline}, incarnation ${incarnation.incarnation}`),
    ` begun ${timeText(incarnation.createdMs)} by run ${incarnation.run}`,
    ...(incarnation.source === null ? [] : [` source ${incarnation.source}`]),
    '',
  ]
  const columns = [
    { name: 'task', numeric: false },
    { name: 'oldest', numeric: true },
    { name: 'newest', numeric: true },
  ]
  const rows = chains.map(({ task, epochs }) => [
    task,
    String(epochs[0] ?? '–'),
    String(epochs.at(-1) ?? '–'),
  ])
  await out.write(`${lines.join('\n')}\n${textTable(columns, rows, out)}`)
}

async function showChain(
  store: ObjectStore,
  keys: ChainKeys,
  { task, epochs }: ListedChain,
  { format }: ShowOptions,
  { out }: Terminal,
): Promise<void> {
  const read = await inTurn(epochs, (epoch) => readRecord(store, keys, task, epoch))
  const records = read.filter((record) => record !== null)
  if (format === 'json') {
    await out.line(JSON.stringify(records, null, 2))
    return
  }
  const columns = [
    { name: 'epoch', numeric: true },
    { name: 'kind', numeric: false },
    { name: 'written', numeric: false },
    { name: 'records', numeric: true },
    { name: 'files', numeric: true },
    { name: 'rows', numeric: true },
    { name: 'watermark', numeric: false },
    { name: 'run', numeric: false },
  ]
  await out.write(textTable(columns, records.map(chainRow), out))
}

function chainRow(record: ChainRecord): readonly string[] {
  const { epoch, writtenMs, run } = record
  const begin = [String(epoch), kindText(record), timeText(writtenMs)]
  if (record.kind !== 'data') return [...begin, '', '', '', '', run]
  const files = Object.values(record.files).flat()
  const records = record.work.type === 'partition' ? countText(record.work.records) : ''
  const rows = files.reduce((sum, file) => sum + file.rows, 0)
  return [
    ...begin,
    records,
    countText(files.length),
    countText(rows),
    timeText(record.work.state.watermarkMs),
    run,
  ]
}
