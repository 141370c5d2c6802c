import type { Cells } from '../../src/testing/oracle/oracle.ts'

/** Which revision is the last depends on timing. */
export function linesOf(rows: readonly Cells[]): readonly string[] {
  return rows.map((row) => {
    const names = Object.keys(row).filter((name) => name !== 'revision')
    return JSON.stringify(Object.fromEntries(names.sort().map((name) => [name, row[name]])))
  })
}

export const SAME = { lacking: [], surplus: [] }

/** The first few rows that only one of the two has. */
export function difference(found: readonly string[], expected: readonly string[]): typeof SAME {
  const counts = new Map<string, number>()
  for (const line of expected) counts.set(line, (counts.get(line) ?? 0) + 1)
  for (const line of found) counts.set(line, (counts.get(line) ?? 0) - 1)
  const lines = (sign: number): never[] =>
    [...counts]
      .filter(([, times]) => times * sign > 0)
      .map(([line]) => line)
      .sort()
      .slice(0, 3) as never[]
  return { lacking: lines(1), surplus: lines(-1) }
}
