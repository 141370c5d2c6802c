import CliTable from 'cli-table3'
import type { Channel } from './terminal.ts'

export interface TextColumn {
  readonly name: string
  /** Numbers stand at the right, so that their digits line up. */
  readonly numeric: boolean
}

const CELL_WIDTH_MAX = 60
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
  const limit = channel.width
  const widths = columns.map((column, index) => {
    const widest = rows.reduce(
      (width, row) => Math.max(width, textWidth(row[index]!)),
      textWidth(column.name),
    )
    return limit === null ? widest : Math.min(widest, CELL_WIDTH_MAX)
  })
  const shown = limit === null ? columns.map((_, index) => index) : columnsThatFit(widths, limit)
  const left = columns.length - shown.length
  const gapAt = left === 0 ? -1 : Math.ceil(shown.length / 2)
  const pick = <T extends string | number>(values: readonly T[], filler: T): T[] => {
    const picked = shown.map((index) => values[index]!)
    if (gapAt !== -1) picked.splice(gapAt, 0, filler)
    return picked
  }
  const table = new CliTable({
    chars: NO_FRAME,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0, compact: true },
    truncate: '…',
    colWidths: pick(widths, 1),
    colAligns: pick(
      columns.map((column): 'left' | 'right' => (column.numeric ? 'right' : 'left')),
      'left',
    ),
  })
  table.push(
    pick(
      columns.map((column) => column.name),
      '…',
    ),
  )
  table.push(
    pick(
      widths.map((width) => '─'.repeat(width)),
      '─',
    ),
  )
  for (const row of rows) table.push(pick(row, '…'))
  const lines = table
    .toString()
    .split('\n')
    .map((line) => `${INDENT}${line}`.trimEnd())
  lines[0] = channel.style('bold', lines[0]!)
  lines[1] = channel.style('dim', lines[1]!)
  if (left > 0) {
    lines.push(
      channel.style(
        'dim',
        `${INDENT}(${shown.length} of ${columns.length} columns fit; name the ones to see)`,
      ),
    )
  }
  return `${lines.join('\n')}\n`
}

/** From both ends inwards: keys and times are at the front of a row, results at its end. */
function columnsThatFit(widths: readonly number[], limit: number): readonly number[] {
  const total = (chosen: readonly number[]) =>
    chosen.reduce((sum, index) => sum + widths[index]! + GAP.length, INDENT.length)
  const all = widths.map((_, index) => index)
  if (total(all) - GAP.length <= limit) return all
  const front: number[] = []
  const back: number[] = []
  const room = limit - GAP.length - 1
  for (let step = 0; step < widths.length; step++) {
    const next = step % 2 === 0 ? front.length : widths.length - 1 - back.length
    if (total([...front, ...back, next]) > room && front.length > 0) break
    if (step % 2 === 0) front.push(next)
    else back.unshift(next)
  }
  return [...front, ...back]
}

/** Columns of a terminal: East Asian wide characters and emoji take two, marks that combine take none. */
function textWidth(text: string): number {
  let width = 0
  for (const character of text) {
    if (/\p{Mark}|\u200d|\ufe0f/u.test(character)) continue
    width +=
      /\p{Emoji_Presentation}|[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]/u.test(
        character,
      )
        ? 2
        : 1
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
