import { PassThrough } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { type Channel, channel } from '../../src/cli/terminal.ts'
import { textTable } from '../../src/cli/text-table.ts'

function wide(width: number | null): Channel {
  const stream = Object.assign(new PassThrough(), width === null ? {} : { isTTY: true, columns: width })
  return channel(stream, { NO_COLOR: '1' })
}

const columns = ['device', 'window_start', 'frames', 'lowest', 'highest'].map((name) => ({
  name,
  numeric: name !== 'device' && name !== 'window_start',
}))
const rows = [
  ['東京-7', '2024-03-01 00:00:00Z', '12', '-120', '-90'],
  ['b', '2024-03-01 01:00:00Z', '1,007', '-118.5', ''],
]

describe('a table as text', () => {
  test('lines up numbers at the right, also beside wide characters', () => {
    expect(textTable(columns, rows, wide(null))).toBe(
      [
        ' device  window_start          frames  lowest  highest',
        ' ──────  ────────────────────  ──────  ──────  ───────',
        ' 東京-7  2024-03-01 00:00:00Z      12    -120      -90',
        ' b       2024-03-01 01:00:00Z   1,007  -118.5',
        '',
      ].join('\n'),
    )
  })

  test('leaves columns of the middle out where the terminal is narrow, and says so', () => {
    const text = textTable(columns, rows, wide(44))
    const lines = text.trimEnd().split('\n')
    expect(lines[0]).toBe(' device  window_start          …  highest')
    expect(lines.at(-1)).toBe(' (3 of 5 columns fit; name the ones to see)')
    for (const line of lines.slice(0, -1)) expect(line.length).toBeLessThanOrEqual(44)
  })

  test('shortens long cells on a terminal, never in a pipe', () => {
    const long = 'x'.repeat(200)
    const one = [{ name: 'message', numeric: false }]
    expect(textTable(one, [[long]], wide(100))).toContain(`${'x'.repeat(59)}…`)
    expect(textTable(one, [[long]], wide(null))).toContain(long)
  })
})
