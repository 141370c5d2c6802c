import CliTable from 'cli-table3'
import type { Channel } from './terminal.ts'

export interface TextColumn {
  readonly name: string
  /** Numbers stand at the right, so that their digits line up. */
  readonly numeric: boolean
  /** Gives way to the others where the terminal is narrow: long text that is good in part. */
  readonly shrinks?: boolean
}

const CELL_WIDTH_MAX = 60
const SHRUNK_WIDTH_MIN = 24
const GAP = '  '
const INDENT = ' '

/**
 * Rows as aligned text without a frame. Where the terminal is too narrow, cells are shortened, then columns in the
 * middle are left out, and a last line says so; a pipe gets everything.
 */
export function textTable(
  columns: readonly TextColumn[],
  rows: readonly (readonly string[])[],
  channel: Channel,
): string {
  const widths = widthsOf(columns, rows, channel.width)
  const shown =
    channel.width === null ? columns.map((_, index) => index) : columnsThatFit(widths, channel.width)
  const left = columns.length - shown.length
  const pick = <T extends string | number>(values: readonly T[], filler: T): T[] => {
    const picked = shown.map((index) => values[index]!)
    if (left > 0) picked.splice(gapIn(shown), 0, filler)
    return picked
  }
  const aligns = columns.map((column): 'left' | 'right' => (column.numeric ? 'right' : 'left'))
  const table = new CliTable({
    chars: NO_FRAME,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0, compact: true },
    truncate: '…',
    colWidths: pick(widths, 1),
    colAligns: pick(aligns, 'left'),
  })
  const names = columns.map((column) => column.name)
  const rules = widths.map((width) => '─'.repeat(width))
  table.push(pick(names, '…'), pick(rules, '─'), ...rows.map((row) => pick(row, '…')))
  const lines = table
    .toString()
    .split('\n')
    .map((line) => `${INDENT}${line}`.trimEnd())
  lines[0] = channel.style('bold', lines[0]!)
  lines[1] = channel.style('dim', lines[1]!)
  if (left > 0) {
    const note = `(${shown.length} of ${columns.length} columns fit; name the ones to see)`
    lines.push(channel.style('dim', `${INDENT}${note}`))
  }
  return `${lines.join('\n')}\n`
}

function widthsOf(
  columns: readonly TextColumn[],
  rows: readonly (readonly string[])[],
  limit: number | null,
): readonly number[] {
  const widest = columns.map((column, index) =>
    rows.reduce((width, row) => Math.max(width, textWidth(row[index]!)), textWidth(column.name)),
  )
  if (limit === null) return widest
  const firm = widest.map((width, index) => (columns[index]!.shrinks ? 0 : Math.min(width, CELL_WIDTH_MAX)))
  const room = Math.max(limit - totalWidth(firm), SHRUNK_WIDTH_MIN)
  return firm.map((width, index) => (columns[index]!.shrinks ? Math.min(widest[index]!, room) : width))
}

function totalWidth(widths: readonly number[]): number {
  return widths.reduce((sum, width) => sum + width + GAP.length, INDENT.length - GAP.length)
}

/** From both ends inwards: keys and times are at the front of a row, results at its end. */
function columnsThatFit(widths: readonly number[], limit: number): readonly number[] {
  if (totalWidth(widths) <= limit) return widths.map((_, index) => index)
  const chosen: number[] = []
  // What is left out becomes a column of one character.
  const fits = (index: number) =>
    totalWidth([...chosen, index].map((at) => widths[at]!)) + GAP.length + 1 <= limit
  let front = 0
  let back = widths.length - 1
  let frontOpen = true
  let backOpen = true
  while ((frontOpen || backOpen) && front <= back) {
    if (frontOpen) {
      frontOpen = fits(front) || chosen.length === 0
      if (frontOpen) chosen.push(front++)
    }
    if (backOpen && front <= back) {
      backOpen = fits(back)
      if (backOpen) chosen.push(back--)
    }
  }
  return chosen.sort((a, b) => a - b)
}

/** Where columns are left out: before the first one that is not in its place, or at the end. */
function gapIn(shown: readonly number[]): number {
  const at = shown.findIndex((index, place) => index !== place)
  return at === -1 ? shown.length : at
}

const NO_WIDTH = /\p{Mark}|\p{Cf}/u
const DOUBLE_WIDTH =
  /\p{Emoji_Presentation}|[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]/u

/** Columns of a terminal: East Asian wide characters and emoji take two, marks that combine take none. */
function textWidth(text: string): number {
  let width = 0
  for (const character of text) {
    if (!NO_WIDTH.test(character)) width += DOUBLE_WIDTH.test(character) ? 2 : 1
  }
  return width
}

const NO_FRAME = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: GAP,
}
