import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { keptProject, REPLAY } from './project.ts'
import { runCli } from './run-cli.ts'

describe('the chains of a lake', () => {
  const { cwd, remove } = keptProject()
  const lake = join(cwd, 'lake')
  const checkpoints = (...args: string[]) => runCli(['checkpoints', ...args, '--lake', lake])
  afterAll(remove)

  beforeAll(async () => {
    const { code, err } = await runCli([...REPLAY, '--lake', lake, '--flush-rows', '20'], { cwd })
    expect(code, err).toBe(0)
  })

  test('are listed, one line for each task', async () => {
    const [table, json] = await Promise.all([
      checkpoints('ls'),
      checkpoints('ls', 'cafe', '--format', 'json'),
    ])
    expect(table.out).toMatch(
      /^ pipeline +task +epoch +kind +kept +records +position +watermark +age +owner\n/,
    )
    expect(table.out).toMatch(/\n cafe\/1 +merge-0 +\d+ +merge .* 2 of 2 tasks folded +the end /)
    expect(table.out).toMatch(/\n cafe\/1 +orders-0 +\d+ +work +\d+ +82 +82, the end +the end /)
    const heads = JSON.parse(json.out) as { task: string; position: string | null; ended: boolean | null }[]
    expect(heads.find(({ task }) => task === 'orders-1')).toMatchObject({ position: '81', ended: true })
  })

  test('are explained record by record', async () => {
    const [all, claim, last, merge, json, wrong] = await Promise.all([
      checkpoints('show', 'cafe', 'orders-0'),
      checkpoints('show', 'cafe', 'orders-0', '0'),
      checkpoints('show', 'cafe', 'orders-0', 'last'),
      checkpoints('show', 'cafe', 'merge-0', 'last'),
      checkpoints('show', 'cafe', 'orders-0', 'last', '--format', 'json'),
      checkpoints('show', 'cafe', 'orders-0', '99'),
    ])
    expect(all.out).toMatch(/\n +0 {2}claim .*\n +1 {2}work /)
    expect(claim.out).toMatch(/\n kind +claim: a new owner took the task over here/)
    expect(last.out).toMatch(/\n read +\d+ records; the next owner goes on from position 82\n/)
    expect(last.out).toMatch(/\n adds +bronze\/orders: \d+ rows in 1 file/)
    expect(merge.out).toMatch(/\n restore +from the snapshot of epoch \d+ /)
    expect(JSON.parse(json.out)).toMatchObject({ kind: 'data', task: 'orders-0' })
    expect(wrong).toMatchObject({
      code: 1,
      err: expect.stringMatching(/RECORD_NOT_FOUND.*\n→ Kept are 0 to /),
    })
  })

  test('are checked, and the exit code says whether all is well', async () => {
    const [whole, dry] = await Promise.all([
      checkpoints('verify'),
      runCli(['vacuum', '--lake', lake, '--older-than', '0.001s', '--dry-run']),
    ])
    expect(whole).toMatchObject({ code: 0, err: '' })
    expect(whole.out).toMatch(
      / ✓ cafe\/1 merge-0: epochs 0 to \d+\n.*\n.*\n Every chain can be gone on from\.\n$/,
    )
    expect(dry.out).toBe('There is nothing to delete.\n')

    const table = join(lake, 'bronze/orders')
    rmSync(join(table, readdirSync(table).find((name) => name.endsWith('.parquet'))!))
    const damaged = await checkpoints('verify')
    expect(damaged.code).toBe(1)
    expect(damaged.out).toMatch(
      / ✗ cafe\/1 orders-[01]: epochs .*\n +data-file bronze\/orders\/cafe-1-.* is gone\n/,
    )
    expect(damaged.out).toContain('\n data-file: A Parquet file that readers of the table need')
    expect(damaged.err).toContain('1 problem')
  })
})
