import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createBatch } from '../../src/columns/column.ts'
import type { Field } from '../../src/columns/column-type.ts'
import { appendInt32, int32Column } from '../../src/columns/write.ts'
import { type DedupeJson, DedupeSet } from '../../src/engine/dedupe.ts'

const FIELDS: readonly Field[] = [{ name: 'key', type: { kind: 'int32' }, nullable: false }]

interface Row {
  readonly key: number
  readonly timeMs: number
}

/** Feeds rows with the watermark that each finds, and says which are kept. */
function feed(set: DedupeSet, rows: readonly Row[], watermarks: readonly number[]): readonly number[] {
  const batch = createBatch(FIELDS)
  for (const { key } of rows) appendInt32(int32Column(batch.columns[0]!), key)
  const selection = Int32Array.from(rows, (_, i) => i)
  const kept = new Int32Array(rows.length)
  const count = set.keep(
    batch.columns,
    selection,
    rows.length,
    (row) => rows[row]!.timeMs,
    (row) => watermarks[row]!,
    kept,
  )
  return [...kept.subarray(0, count)]
}

const WITHIN_MS = 50
const BOUND_MS = 10

/** Before each row, and after the last. */
function watermarksOf(rows: readonly Row[]): readonly number[] {
  let watermarkMs = -Infinity
  const before = rows.map(({ timeMs }) => {
    const now = watermarkMs
    watermarkMs = Math.max(watermarkMs, timeMs - BOUND_MS)
    return now
  })
  return [...before, watermarkMs]
}

/** Decision 0001, word by word. */
function naive(rows: readonly Row[], watermarks: readonly number[]): readonly number[] {
  const newest = new Map<number, number>()
  return rows.flatMap(({ key, timeMs }, i) => {
    const known = newest.get(key) ?? -Infinity
    if (Math.abs(timeMs - known) < WITHIN_MS && watermarks[i]! < known + WITHIN_MS) return []
    newest.set(key, Math.max(known, timeMs))
    return [i]
  })
}

describe('a dedupe set', () => {
  it('keeps what decision 0001 says, through cuts, restores and forgetting', () => {
    const row = fc.record({ key: fc.nat(8), step: fc.integer({ min: -40, max: 60 }), cut: fc.nat(9) })
    fc.assert(
      fc.property(fc.array(row, { maxLength: 200 }), (steps) => {
        let timeMs = 0
        const rows = steps.map(({ key, step }) => ({ key, timeMs: (timeMs += step) }))
        const watermarks = watermarksOf(rows)
        let set = new DedupeSet(FIELDS, WITHIN_MS)
        let written: DedupeJson[] = []
        const kept: number[] = []
        rows.forEach((one, i) => {
          kept.push(...feed(set, [one], [watermarks[i]!]).map(() => i))
          const { cut } = steps[i]!
          const now = watermarks[i + 1]!
          if (cut === 1) written.push(...set.takeChanges(now))
          else if (cut === 2) written = [...set.takeSnapshot(now)]
          else if (cut === 3) {
            written.push(...set.takeChanges(now))
            set = new DedupeSet(FIELDS, WITHIN_MS)
            for (const part of written) set.restore(JSON.parse(JSON.stringify(part)) as DedupeJson)
          }
        })
        expect(kept).toEqual(naive(rows, watermarks))
      }),
      { numRuns: 300 },
    )
  })

  it('forgets keys that the watermark has left behind, also without a snapshot, and it does not show', () => {
    const EPOCH_ROWS = 3_000
    const rows = Array.from({ length: 20 * EPOCH_ROWS }, (_, i) => ({
      // Every third key has been there a little or a long time before.
      key: i % 3 === 0 ? Math.max(0, i - ((i * 7919) % 9_000)) : i,
      timeMs: Math.floor(i / 10) - (i % 7),
    }))
    const watermarks = watermarksOf(rows)
    const set = new DedupeSet(FIELDS, WITHIN_MS)
    const kept: number[] = []
    let largest = 0
    for (let from = 0; from < rows.length; from += EPOCH_ROWS) {
      const to = from + EPOCH_ROWS
      kept.push(...feed(set, rows.slice(from, to), watermarks.slice(from, to)).map((row) => from + row))
      largest = Math.max(largest, set.size)
      for (const part of set.takeChanges(watermarks[to]!))
        expect(part.timesMs.length).toBeLessThanOrEqual(EPOCH_ROWS)
    }
    expect(kept).toEqual(naive(rows, watermarks))
    expect(kept.length).toBeGreaterThan(40_000)
    expect(largest).toBeLessThan(12_000)
  })

  it('is written in parts when it is large, and comes back whole', () => {
    const rows = Array.from({ length: 250_000 }, (_, key) => ({ key, timeMs: 1_000 }))
    const watermarks = rows.map(() => 0)
    const set = new DedupeSet(FIELDS, WITHIN_MS)
    expect(feed(set, rows, watermarks)).toHaveLength(250_000)
    const parts = [...set.takeSnapshot(0)]
    expect(parts.length).toBeGreaterThan(2)
    const other = new DedupeSet(FIELDS, WITHIN_MS)
    for (const part of parts) other.restore(part)
    expect(other.size).toBe(250_000)
    expect(feed(other, rows, watermarks)).toEqual([])
  })
})
