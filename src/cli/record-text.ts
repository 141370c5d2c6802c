import {
  type ChainRecord,
  type DataRecord,
  type MergeWork,
  OUTBOX,
  type PartitionWork,
  type SnapshotRef,
} from '../checkpoint/record.ts'
import type { Totals } from '../engine/totals.ts'
import { unreachable } from '../errors.ts'
import { byteText, counted, countText, timeText } from './format.ts'
import { longPosition } from './position-text.ts'
import type { Channel } from './terminal.ts'

/** A checkpoint record, explained for a person. */
export function recordText(record: ChainRecord, out: Channel): string {
  const lines = new Lines(out)
  lines.title(`record ${record.epoch} of ${record.task}`)
  lines.add('pipeline', `${record.pipeline}, incarnation ${record.incarnation}`)
  lines.add('kind', kindOf(record))
  lines.add('written', `${timeText(record.writtenMs)}, run ${record.run}, nonce ${record.nonce}`)
  if (record.kind === 'claim') lines.add('owner', record.owner ?? 'not said')
  if (record.kind === 'data') {
    if (record.work.type === 'partition') partitionLines(record.work, lines)
    else mergeLines(record.work, lines)
    fileLines(record, lines)
    outboxLines(record, lines)
    publishedLines(record, lines)
    totalLines(record.work.state.totals, lines)
  }
  return lines.text
}

function kindOf(record: ChainRecord): string {
  switch (record.kind) {
    case 'claim':
      return 'claim: a new owner took the task over here; no work, moves no watermark'
    case 'seal':
      return 'seal: the incarnation has been replaced; nobody claims past it'
    case 'data':
      return `work, under claim ${record.claim}`
    default:
      return unreachable(record)
  }
}

function partitionLines({ state, records, dedupe, partials }: PartitionWork, lines: Lines): void {
  lines.add(
    'read',
    `${counted(records, 'record')}; the next owner goes on from ${positionOf(state.position)}`,
  )
  lines.add('watermark', watermarkOf(state.watermarkMs))
  if (state.idle) lines.add('idle', 'the partition is idle: it holds no window back')
  if (state.parents !== undefined && state.parents.length > 0)
    lines.add('parents', `${state.parents.join(', ')}: read to their ends before this`)
  if (state.ended) lines.add('ended', endOf(state.successors))
  if (Number.isFinite(state.lastArrivalMs))
    lines.add('arrived', `the last record arrived ${timeText(state.lastArrivalMs)}`)
  if (state.circuit !== null) {
    const { seen, failed } = state.circuit
    lines.add('circuit', `${countText(failed)} of the last ${countText(seen)} records became dead letters`)
  }
  lines.add('partials', partials ?? 'none: no window was touched')
  if (dedupe.length === 0) lines.add('dedupe', 'no keys')
  for (const [index, key] of dedupe.entries()) {
    lines.add(index === 0 ? 'dedupe' : '', `${key}${index === 0 ? ' (snapshot)' : ''}`)
  }
}

function mergeLines({ state, folded, snapshot, nowMs, partials }: MergeWork, lines: Lines): void {
  const epochs = folded.map(
    ({ task, first, last }) => `${task} ${first === last ? first : `${first} to ${last}`}`,
  )
  lines.add('folded', epochs.length === 0 ? 'nothing' : epochs.join(', '))
  lines.add('watermark', watermarkOf(state.watermarkMs))
  if (nowMs !== undefined && Number.isFinite(nowMs))
    lines.add('time', `${timeText(nowMs)}, by which early results were due`)
  if (partials !== undefined && partials !== null) lines.add('partials', partials)
  lines.add(
    'restore',
    snapshot === null
      ? 'from the beginning: no snapshot yet, all partials are folded again'
      : `from the snapshot of epoch ${snapshot.epoch}${snapshotText(snapshot)} and the partials folded since`,
  )
  for (const [index, [task, source]] of Object.entries(state.sources).entries()) {
    const { epoch, watermarkMs, idle, ended } = source
    const notes = [...(idle ? ['idle'] : []), ...(ended ? ['ended'] : [])]
    const text = epoch < 0 ? 'nothing yet' : `up to epoch ${epoch}, watermark ${timeText(watermarkMs)}`
    lines.add(index === 0 ? 'sources' : '', `${task}: ${[text, ...notes].join(', ')}`)
  }
}

/** ' (… .json)' or ' (3 objects from … .json, and 2 changes since)'. */
function snapshotText({ key, parts = 1, changes = [] }: SnapshotRef): string {
  const base = parts === 1 ? key : `${countText(parts)} objects from ${key}`
  return ` (${base}${changes.length === 0 ? '' : `, and ${counted(changes.length, 'change')} since`})`
}

function fileLines({ files, removes = {} }: DataRecord, lines: Lines): void {
  const tables = Object.entries(files).filter(([, staged]) => staged.length > 0)
  if (tables.length === 0) lines.add('adds', 'no rows to any table')
  for (const [index, [path, staged]] of tables.entries()) {
    const rows = staged.reduce((sum, file) => sum + file.rows, 0)
    const bytes = staged.reduce((sum, file) => sum + file.size, 0)
    const text = `${path}: ${counted(rows, 'row')} in ${counted(staged.length, 'file')}, ${byteText(bytes)}`
    lines.add(index === 0 ? 'adds' : '', text)
    for (const file of staged) lines.add('', `  ${file.path}`)
  }
  for (const [index, [path, replaced]] of Object.entries(removes).entries()) {
    lines.add(index === 0 ? 'replaces' : '', `${path}: ${counted(replaced.length, 'file')} of earlier epochs`)
    for (const file of replaced) lines.add('', `  ${file.path}`)
  }
}

function outboxLines({ outbox, outboxMarker }: DataRecord, lines: Lines): void {
  if (outbox === undefined) return
  if (outbox === null) lines.add('messages', 'none')
  else lines.add('messages', `${countText(outbox.messages)} to ${outbox.topics.join(', ')} (${outbox.key})`)
  if (outboxMarker !== undefined && outboxMarker >= 0) {
    lines.add('', `published up to epoch ${outboxMarker} when this was written`)
  }
}

function publishedLines({ epoch, published }: DataRecord, lines: Lines): void {
  for (const [index, [path, upTo]] of Object.entries(published).entries()) {
    const where = path === OUTBOX ? 'topics' : path
    const behind = epoch - 1 - upTo
    const text = upTo < 0 ? 'nothing was known to be there' : `up to epoch ${upTo} was known to be there`
    lines.add(index === 0 ? 'published' : '', `${where}: ${text}${behind > 1 ? ` (${behind} behind)` : ''}`)
  }
}

function totalLines({ records, rows, deadLetters, late, dropped }: Totals, lines: Lines): void {
  const counts: string[] = records > 0 ? [counted(records, 'record')] : []
  for (const [path, count] of Object.entries(rows)) counts.push(`${counted(count, 'row')} to ${path}`)
  for (const [reason, count] of Object.entries(deadLetters))
    counts.push(`${countText(count)} dead letters (${reason})`)
  for (const [name, count] of Object.entries(late)) counts.push(`${countText(count)} late for ${name}`)
  for (const [name, count] of Object.entries(dropped)) counts.push(`${countText(count)} dropped by ${name}`)
  for (const [index, text] of counts.entries()) lines.add(index === 0 ? 'so far' : '', text)
}

function endOf(successors: readonly string[] = []): string {
  if (successors.length === 0) return 'the source has ended: nothing follows'
  return `the shard was split or merged: what follows is in ${successors.join(', ')}`
}

function positionOf(position: string | null): string {
  return position === null ? "the source's beginning" : longPosition(position)
}

function watermarkOf(watermarkMs: number): string {
  if (watermarkMs === -Infinity) return 'none yet'
  if (watermarkMs === Infinity) return 'the end: no row follows'
  return `${timeText(watermarkMs)}: no earlier event time is expected`
}

const LABEL_WIDTH = 12

class Lines {
  readonly #out: Channel
  readonly #lines: string[] = []

  constructor(out: Channel) {
    this.#out = out
  }

  title(text: string): void {
    this.#lines.push(this.#out.style('bold', ` ${text}`))
  }

  add(label: string, text: string): void {
    this.#lines.push(` ${this.#out.style('dim', label.padEnd(LABEL_WIDTH))}${text}`)
  }

  get text(): string {
    return `${this.#lines.join('\n')}\n`
  }
}
