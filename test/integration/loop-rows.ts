import { expect } from 'vitest'
import { CLOSING_AT_MS, type CountRow, type expectedCounts, type expectedTens } from './kafka-loop/events.ts'

/** What the loops' tables have of a window, as deltalake reads it. */
export interface GoldRow {
  readonly account: string
  readonly window_start: number
  readonly events: number
  readonly total: number
  readonly first: number
  readonly last: number
  readonly revision: number
}

/** The same of the second stage. */
export interface TensRow {
  readonly window_start: number
  readonly events: number
  readonly total: number
  readonly revision: number
}

export function countsOf(gold: readonly GoldRow[]): readonly CountRow[] {
  return gold.map(({ account, window_start, events, total, first, last }) => {
    return { account, windowStartMs: window_start, events, total, first, last }
  })
}

/** Of a result that was sent, and decoded. */
export function countOf(row: Readonly<Record<string, unknown>>): CountRow {
  return {
    account: row['account'] as string,
    windowStartMs: Number(row['window_start']),
    events: Number(row['events']),
    total: Number(row['total']),
    first: Number(row['first']),
    last: Number(row['last']),
  }
}

/** Those that the closing records have closed. */
export function tensOf(rows: readonly TensRow[]): ReturnType<typeof expectedTens> {
  return rows
    .filter(({ window_start }) => window_start < CLOSING_AT_MS - 10_000)
    .map(({ window_start, events, total }) => ({ startMs: window_start, events, total }))
    .sort((a, b) => a.startMs - b.startMs)
}

/** Each window that is due once, and as it is due. */
export function expectRows(
  rows: readonly { readonly account: string; readonly windowStartMs: number }[],
  expected: ReturnType<typeof expectedCounts>,
): void {
  const closed = rows.filter(({ account }) => account !== 'closing')
  const keys = closed.map(({ account, windowStartMs }) => `${account} ${windowStartMs}`)
  expect(keys.filter((key, i) => keys.indexOf(key) !== i)).toEqual([])
  expect([...expected.keys()].filter((key) => !keys.includes(key))).toEqual([])
  for (const [i, row] of closed.entries()) expect(row).toEqual(expected.get(keys[i]!))
}
