import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { keptProject, REPLAY } from './project.ts'
import { runCli } from './run-cli.ts'

describe('what a lake holds', () => {
  const { cwd, remove } = keptProject()
  const lake = join(cwd, 'lake')
  afterAll(remove)

  beforeAll(async () => {
    const { code, err } = await runCli([...REPLAY, '--lake', lake], { cwd })
    expect(code, err).toBe(0)
  })

  test('is listed with rows, files and columns', async () => {
    const [table, json] = await Promise.all([
      runCli(['tables', '--lake', lake]),
      runCli(['tables', '--lake', lake, '--columns', '--format', 'json']),
    ])
    expect(table.out).toMatch(/^ table +rows +files +size +version\n/)
    expect(table.out).toMatch(
      /\n bronze\.orders +163 .*\n silver\.orders +159 .*\n gold\.shop_quarters +29 .*\n dead_letters +2 /,
    )
    const tables = JSON.parse(json.out) as {
      table: string
      rows: number
      columns: { name: string; type: string }[]
    }[]
    const gold = tables.find((entry) => entry.table === 'gold.shop_quarters')!
    expect(gold.rows).toBe(29)
    expect(gold.columns).toContainEqual({
      name: 'window_start',
      type: 'TIMESTAMP WITH TIME ZONE',
      nullable: false,
    })
  })

  test('is queried, as a table, JSON or CSV', async () => {
    const sql =
      'select shop, window_start, orders, dearest from gold.shop_quarters order by window_start, shop limit 2'
    const [table, json, csv, none] = await Promise.all([
      runCli(['query', sql, '--lake', lake]),
      runCli(['query', sql, '--lake', lake, '--format', 'json']),
      runCli(['query', sql, '--lake', lake, '--format', 'csv']),
      runCli([
        'query',
        'select shop from gold.shop_quarters where false',
        '--lake',
        lake,
        '--format',
        'json',
      ]),
    ])
    expect(table.out).toBe(
      [
        ' shop     window_start          orders  dearest',
        ' ───────  ────────────────────  ──────  ───────',
        ' harbour  2024-05-13 06:30:00Z       3      4.5',
        ' market   2024-05-13 06:30:00Z       1      3.9',
        '',
      ].join('\n'),
    )
    expect(JSON.parse(json.out)).toEqual([
      { shop: 'harbour', window_start: '2024-05-13T06:30:00Z', orders: 3, dearest: 4.5 },
      { shop: 'market', window_start: '2024-05-13T06:30:00Z', orders: 1, dearest: 3.9 },
    ])
    expect(csv.out).toBe(
      'shop,window_start,orders,dearest\nharbour,2024-05-13T06:30:00Z,3,4.5\nmarket,2024-05-13T06:30:00Z,1,3.9\n',
    )
    expect(JSON.parse(none.out)).toEqual([])
    for (const result of [table, json, csv, none]) expect(result).toMatchObject({ code: 0, err: '' })
  })

  test('shows a limited table, and everything in the other formats', async () => {
    const sql = 'select range as n from range(3000)'
    const [table, csv, wrong] = await Promise.all([
      runCli(['query', sql, '--lake', lake, '--limit', '3']),
      runCli(['query', sql, '--lake', lake, '--format', 'csv']),
      runCli(['query', 'select * from gold.nope', '--lake', lake]),
    ])
    expect(table.out.trimEnd().split('\n')).toHaveLength(5)
    expect(table.err).toContain('the first 3 rows')
    expect(csv.out.trimEnd().split('\n')).toHaveLength(3001)
    expect(wrong.code).toBe(1)
    expect(wrong.err).toMatch(
      /^error SQL: .*nope.*\n[\s\S]*→ The tables are: bronze\.orders, silver\.orders, gold\.shop_quarters, dead_letters\.\n$/,
    )
  })

  test('has its dead letters listed and shown whole, by number and by position', async () => {
    const saved = join(cwd, 'letter.bin')
    const [all, some, unknown] = await Promise.all([
      runCli(['dead-letters', 'ls', '--lake', lake]),
      runCli(['dead-letters', 'ls', '--lake', lake, '--reason', 'invalid']),
      runCli(['dead-letters', 'ls', '--lake', lake, '--reason', 'nonsense']),
    ])
    expect(all.out).toMatch(/ invalid +sane +1\n late +shop_quarters +1\n/)
    const line =
      / (\d) {2}(orders\/\d\/\d+) +invalid +sane +46 {2}quantity: -2 is not between 1 and 50\n/.exec(
        some.out,
      )!
    expect(some.out).not.toMatch(/orders\/.*late/)
    expect(unknown).toMatchObject({ code: 2, err: expect.stringContaining('There are: invalid, late.') })

    const [byNumber, byPosition, gone] = await Promise.all([
      runCli(['dead-letters', 'show', line[1]!, '--lake', lake, '--save', saved]),
      runCli(['dead-letters', 'show', line[2]!, '--lake', lake]),
      runCli(['dead-letters', 'show', 'orders/0/9999', '--lake', lake]),
    ])
    expect(byNumber.out).toBe(byPosition.out)
    expect(byNumber.out).toMatch(
      /\n reason +invalid\n stage +sane\n message +quantity: -2 is not between 1 and 50\n/,
    )
    expect(byNumber.out).toMatch(/\n {3}000000 {2}00 00 00 00 01 0c 41 2d {2}31 .*\.\.\.\.\.\.A-1/)
    expect(readFileSync(saved)).toHaveLength(46)
    expect(gone).toMatchObject({ code: 2, err: expect.stringContaining('no dead letter orders/0/9999') })
  })
})
