import { describe, expect, test } from 'vitest'
import { type Cell, cellCsv, cellJson, cellText, isoTime } from '../../src/cli/cell.ts'

const timestamp = (micros: bigint, utc = true): Cell => ({ kind: 'timestamp', micros, utc })
const bytes = (...values: number[]): Cell => ({ kind: 'bytes', bytes: Uint8Array.from(values) })

describe('a value of a result', () => {
  test('shows times in UTC, with the digits that are needed, before 1970 too', () => {
    expect(cellText(timestamp(1_709_251_200_000_000n))).toBe('2024-03-01 00:00:00Z')
    expect(cellText(timestamp(1_709_251_200_120_000n))).toBe('2024-03-01 00:00:00.120Z')
    expect(cellText(timestamp(-1n))).toBe('1969-12-31 23:59:59.999999Z')
    expect(cellText(timestamp(1_709_251_200_000_000n, false))).toBe('2024-03-01 00:00:00')
    expect(cellJson(timestamp(-1_000_000n))).toBe('"1969-12-31T23:59:59Z"')
    expect(isoTime(2n ** 63n - 1n, true)).toBe('infinity')
  })

  test('keeps every digit of a long in JSON', () => {
    expect(cellJson(9_007_199_254_740_991n)).toBe('9007199254740991')
    expect(cellJson(9_007_199_254_740_992n)).toBe('"9007199254740992"')
    expect(cellJson(-9_223_372_036_854_775_808n)).toBe('"-9223372036854775808"')
    expect(cellJson({ kind: 'decimal', text: '0.10' })).toBe('"0.10"')
  })

  test('is JSON also where JSON has no such value', () => {
    for (const value of [Number.NaN, Infinity, -Infinity]) expect(cellJson(value)).toBe(`"${value}"`)
    expect(cellJson(-0)).toBe('-0')
    expect(cellJson(bytes(0, 255))).toBe('"AP8="')
  })

  test('nests', () => {
    const nested: Cell = {
      kind: 'struct',
      entries: [
        ['a "b"', { kind: 'list', elements: [1n, null] }],
        ['m', { kind: 'map', entries: [['k', true]] }],
        ['n', { kind: 'map', entries: [[1n, true]] }],
      ],
    }
    expect(JSON.parse(cellJson(nested))).toEqual({
      'a "b"': [1, null],
      m: { k: true },
      n: [{ key: 1, value: true }],
    })
    expect(cellText(nested)).toBe('{a "b": [1, null], m: {k: true}, n: {1: true}}')
    expect(cellCsv(nested)).toBe(`"${cellJson(nested).replaceAll('"', '""')}"`)
  })

  test('tells null, nothing and space apart in CSV', () => {
    expect([null, '', ' a', 'a,b', 'a"b', 'a\nb', 'plain'].map(cellCsv)).toEqual([
      '',
      '""',
      '" a"',
      '"a,b"',
      '"a""b"',
      '"a\nb"',
      'plain',
    ])
  })

  test('does nothing to the terminal it is shown on', () => {
    expect(cellText('\u001b[2Jline\nnext\u202egnp.exe')).toBe('\\u001b[2Jline\\nnext\\u202egnp.exe')
    expect(cellText(bytes(0x6b, 0x31))).toBe('k1')
    expect(cellText(bytes(0, 0x1b))).toBe('0x001b')
  })
})
