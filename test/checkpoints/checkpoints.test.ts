import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { encodeUtf8 } from '../../src/columns/utf8.ts'
import type { ObjectStore } from '../../src/ports.ts'
import { memoryStore } from '../../src/testing/memory-store.ts'
import { start, tablesIn } from '../support/world.ts'
import { program, records } from './v1/program.ts'

/** A lake as an earlier version left it: after a stop, a second start, and a crash of that. */
async function lakeOf(version: string): Promise<ObjectStore> {
  const text = readFileSync(new URL(`./${version}/lake.json`, import.meta.url), 'utf8')
  const lake = memoryStore()
  for (const [key, body] of Object.entries(JSON.parse(text) as Record<string, string>))
    await lake.put(key, encodeUtf8(body))
  return lake
}

describe.each(['v1'])('what version %s wrote', (version) => {
  it('has in it what there is to read: claims, work, partials, dedupe sets, panes, an epoch that is in no table yet', async () => {
    const keys = (await (await lakeOf(version)).list('')).map(({ key }) => key)
    for (const kind of ['-partials.json', '-dedupe.json', '-panes.json', 'frames-1/000000000003.json']) {
      expect(
        keys.some((key) => key.endsWith(kind)),
        kind,
      ).toBe(true)
    }
  })

  it('is continued from: the same rows as without the interruptions', async () => {
    const undisturbed = memoryStore()
    await start(program, { lake: undisturbed, records })
    const expected = await tablesIn(undisturbed, program)
    for (const [path, rows] of Object.entries(expected)) expect(rows.length, path).toBeGreaterThan(0)
    for (const epochRows of [4, 1_000]) {
      const lake = await lakeOf(version)
      const before = await tablesIn(lake, program)
      expect(before['silver/once']!.length).toBeGreaterThan(0)
      expect(before['silver/once']!.length).toBeLessThan(expected['silver/once']!.length)
      const summary = await start(program, { lake, records, epochRows })
      expect(summary).toMatchObject({ outcome: 'completed', incarnation: 1 })
      // It went on and did not begin again.
      expect(summary.records).toBeLessThan(250)
      expect(summary.totals.records).toBe(300)
      expect(await tablesIn(lake, program)).toEqual(expected)
    }
  })
})
