import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { channel } from '../../src/cli/terminal.ts'
import { windowsText } from '../../src/cli/windows-text.ts'
import type { SourceHold } from '../../src/cli/windows-report.ts'
import { project, REPLAY } from './project.ts'
import { runCli } from './run-cli.ts'

/** In the middle of the recording. */
const EIGHT = '2024-05-13T08:00:00Z'

function edit(cwd: string, from: string, to: string): void {
  const path = join(cwd, 'orders.ts')
  const text = readFileSync(path, 'utf8')
  expect(text).toContain(from)
  writeFileSync(path, text.replace(from, to))
}

describe('millrace windows', () => {
  test('says who holds the watermark back, and which windows wait for it', async () => {
    const cwd = project()
    await runCli([...REPLAY, '--until', EIGHT], { cwd })
    const text = await runCli(['windows', 'orders.ts'], { cwd })
    expect(text.code, text.err).toBe(0)
    expect(text.out).toMatch(/^cafe, incarnation 1, /)
    expect(text.out).toMatch(/\nmerge-0: watermark 2024-05-13 0[78]:\d\d:\d\dZ, last epoch .* ago, .+:\d+\n/)
    expect(text.out).toMatch(/held back by orders-\d: it is being read by/)
    expect(text.out).toMatch(/\n source +state +watermark +ahead +since +epoch age +to fold +unread +owner\n/)
    expect(text.out).toMatch(/\n shop_quarters +merge-0 +2024-05-13 0\d:\d\d:00Z – 2024-05-13 0\d:\d\d:00Z /)
    const json = await runCli(['windows', 'orders.ts', '--json', '--end', EIGHT], { cwd })
    const report = JSON.parse(json.out) as {
      merges: { task: string; heldBackBy: string[]; sources: { task: string; state: string }[] }[]
      windows: { result: string; end: string; closesAt: string; toGoMs: number; waitsFor: string[] }[]
    }
    // The window itself, and five minutes for those who come late.
    expect(report.windows).toMatchObject([
      { result: 'shop_quarters', end: '2024-05-13T08:00:00.000Z', closesAt: '2024-05-13T08:05:00.000Z' },
    ])
    expect(report.windows[0]!.toGoMs).toBeGreaterThan(0)
    expect(report.windows[0]!.waitsFor).toContain(report.merges[0]!.heldBackBy[0])
    // Long after: nobody has recorded anything.
    const silent = await runCli(['windows', '--silent-after', '1ms'], { cwd })
    expect(silent.out).toMatch(/held back by orders-\d: no epoch for .*; its owner \(.+\) may be down/)
  })

  test('has nobody who holds anything back at the end of a recording', async () => {
    const cwd = project()
    await runCli(REPLAY, { cwd })
    const { out } = await runCli(['windows'], { cwd })
    expect(out).toContain('watermark the end')
    expect(out).toContain('Nothing holds it back.')
  })

  test('refuses a time without a program, and a result that the program has not', async () => {
    const cwd = project()
    await runCli([...REPLAY, '--until', EIGHT], { cwd })
    const [none, other, empty] = await Promise.all([
      runCli(['windows', '--end', EIGHT], { cwd }),
      runCli(['windows', 'orders.ts', '--result', 'nothing'], { cwd }),
      runCli(['windows', '--lake', 'elsewhere'], { cwd }),
    ])
    expect(none).toMatchObject({ code: 2 })
    expect(none.err).toContain('none is named')
    expect(other).toMatchObject({ code: 2 })
    expect(other.err).toContain('It has: shop_quarters.')
    expect(empty).toMatchObject({ code: 1 })
    expect(empty.err).toContain('LAKE_NOT_FOUND')
  })
})

describe('millrace describe --diff', () => {
  test('says what a program has that the one which wrote the lake had not, and what a run makes of it', async () => {
    const cwd = project()
    await runCli([...REPLAY, '--until', EIGHT], { cwd })
    const same = await runCli(['describe', 'orders.ts', '--diff'], { cwd })
    expect(same).toMatchObject({ code: 0 })
    expect(same.out).toMatch(/^cafe, incarnation 1, program 1, since .*\nThe program is the same.\n$/)

    edit(
      cwd,
      "gold('shop_quarters', shopQuarters),",
      "gold('shop_quarters', shopQuarters),\n    silver('raw', orders),",
    )
    const added = await runCli(['describe', 'orders.ts', '--diff'], { cwd })
    expect(added).toMatchObject({ code: 0 })
    expect(added.out).toContain('+ silver/raw added')
    expect(added.out).toContain('begins with the records that come then')
    const went = await runCli([...REPLAY, '--until', '2024-05-13T08:30:00Z'], { cwd })
    expect(went).toMatchObject({ code: 0 })
    const after = await runCli(['describe', 'orders.ts', '--diff', '--json'], { cwd })
    expect(JSON.parse(after.out)).toMatchObject({ program: 2, changes: [] })

    edit(cwd, 'minutes(15)', 'minutes(30)')
    const changed = await runCli(['describe', 'orders.ts', '--diff'], { cwd })
    expect(changed).toMatchObject({ code: 6 })
    expect(changed.out).toContain('~ shop_quarters changed')
    expect(changed.out).toMatch(/\n {4}- .*15 min/)
    expect(changed.out).toMatch(/\n {4}\+ .*30 min/)
    const refused = await runCli(REPLAY, { cwd })
    expect(refused).toMatchObject({ code: 1 })
    expect(refused.err).toContain('shop_quarters was changed')
    expect(refused.err).toContain('describe --diff')
  })

  test('says so where a table is gone, which a run takes only when asked', async () => {
    const cwd = project()
    await runCli([...REPLAY, '--until', EIGHT], { cwd })
    edit(cwd, "    silver('orders', cleanOrders, { partitionBy: day('orderedAt') }),\n", '')
    const removed = await runCli(['describe', 'orders.ts', '--diff'], { cwd })
    expect(removed).toMatchObject({ code: 6 })
    expect(removed.out).toContain('- silver/orders removed')
    expect(await runCli(REPLAY, { cwd })).toMatchObject({ code: 1 })
    expect(await runCli([...REPLAY, '--allow-removed'], { cwd })).toMatchObject({ code: 0 })
  })

  test('says nothing of how far those are ahead that have ended behind the others', () => {
    const source: SourceHold = {
      task: 'trips-000000000003',
      state: 'reading',
      watermark: '2026-11-23T08:00:00.000Z',
      watermarkMs: Date.parse('2026-11-23T08:00:00Z'),
      foldedWatermarkMs: Date.parse('2026-11-23T08:00:00Z'),
      epochsToFold: 0,
      aheadMs: 0,
      since: null,
      epochAgeMs: null,
      lastArrival: null,
      unread: null,
      owner: null,
    }
    const parent: SourceHold = { ...source, task: 'trips-000000000001', state: 'ended', aheadMs: -16_749 }
    const merge = { task: 'merge-0', watermark: null, watermarkMs: 0, owner: null, epochAgeMs: null }
    const merges = [{ ...merge, heldBackBy: [source.task], sources: [parent, source] }]
    const report = { pipeline: 'taxi', incarnation: 1, at: '2026-11-23T09:00:00.000Z', merges, windows: [] }
    expect(windowsText(report, channel(new PassThrough(), { NO_COLOR: '1' }))).toMatch(
      /trips-000000000001 +ended +2026-11-23 08:00:00Z +– +/,
    )
  })
})
