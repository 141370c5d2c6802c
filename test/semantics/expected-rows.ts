import { millisOf, type CaseRow } from './case.ts'

/** A row of a table as a case would write it: `start` and `end` in milliseconds. */
export function plainRow(row: Readonly<Record<string, unknown>>): CaseRow {
  const { window_start: start, window_end: end, ...rest } = row
  return { start: instant(start), end: instant(end), ...rest }
}

function instant(value: unknown): number | null {
  return millisOf(value as number | string | null)
}

/**
 * What `expect(found).toEqual(expected)` takes: both in one order, and of each row that is found the columns that the expected row of the same key
 * and window looks at. Revisions are told apart only where timing has no part in them.
 */
export function compared(
  found: readonly CaseRow[],
  expected: readonly CaseRow[],
  withRevisions: boolean,
): { readonly found: readonly CaseRow[]; readonly expected: readonly CaseRow[] } {
  const wanted = expected.map(({ revision, ...row }) => ({
    ...row,
    ...('start' in row ? { start: instant(row['start']), end: instant(row['end']) } : {}),
    ...(withRevisions && revision !== undefined ? { revision } : {}),
  }))
  const rest = [...wanted]
  const projected = found.map((row) => {
    const at = rest.findIndex((one) => isOfPlace(row, one))
    if (at < 0) return row
    const [one] = rest.splice(at, 1)
    return Object.fromEntries(Object.keys(one!).map((name) => [name, like(row[name], one![name as 'start'])]))
  })
  const sorted = (rows: readonly CaseRow[]): readonly CaseRow[] =>
    rows
      .map((row) => [JSON.stringify(row), row] as const)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([, row]) => row)
  return { found: sorted(projected), expected: sorted(wanted) }
}

const PLACE = ['key', 'computed', 'place_zone', 'start', 'end', 'window_number', 'revision']

/** Whether a row has the key and the window of another, as far as that one looks at them. */
function isOfPlace(row: CaseRow, one: CaseRow): boolean {
  return PLACE.every((name) => !(name in one) || like(row[name], one[name]) === one[name])
}

/** The oracle writes numbers as text. */
function like(value: unknown, example: unknown): unknown {
  if (Array.isArray(value))
    return value.map((one, i) => like(one, (example as unknown[] | undefined)?.[i] ?? example))
  return typeof example === 'number' && typeof value === 'string' ? Number(value) : value
}
