import { mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { describe, expect, onTestFinished, test } from 'vitest'
import { cellJson } from '../../src/cli/cell.ts'
import type { LakeTable } from '../../src/cli/lake.ts'
import { openLakeDatabase } from '../../src/cli/lake-database.ts'
import { localFiles } from '../../src/cli/lake-files.ts'
import type { ColumnType, Field } from '../../src/columns/column-type.ts'
import { folderWith } from './run-cli.ts'

interface GivenFile {
  /** As the log has it. */
  readonly path: string
  readonly partition?: Readonly<Record<string, string | null>>
  /** What is in the file; null: the log lists it, but it is gone. */
  readonly sql: string | null
}

function field(name: string, type: ColumnType | ColumnType['kind'], nullable = true): Field {
  return { name, type: (typeof type === 'string' ? { kind: type } : type) as ColumnType, nullable }
}

/** A table whose files DuckDB writes itself, and whose log is given. */
async function given(
  lake: string,
  path: string,
  fields: readonly Field[],
  files: readonly GivenFile[],
): Promise<LakeTable> {
  const instance = await DuckDBInstance.create(':memory:')
  const connection = await instance.connect()
  await connection.run("set timezone = 'UTC'")
  for (const file of files) {
    const at = join(lake, path, decodeURIComponent(file.path))
    mkdirSync(dirname(at), { recursive: true })
    if (file.sql !== null)
      await connection.run(`copy (${file.sql}) to '${at.replaceAll("'", "''")}' (format parquet)`)
  }
  connection.closeSync()
  instance.closeSync()
  const staged = files.map((file) => ({
    path: file.path,
    size: 1,
    rows: 1,
    partitionValues: file.partition ?? {},
    stats: '{}',
    modifiedMs: 0,
    tags: {},
  }))
  return {
    path,
    sqlName: path.replaceAll('/', '.'),
    state: {
      version: 0,
      fields,
      configuration: {},
      txn: new Map(),
      files: new Map(staged.map((file) => [file.path, file])),
      partitionColumns: Object.keys(files[0]?.partition ?? {}),
      tombstones: new Map(),
    },
  }
}

async function opened(lake: string, tables: readonly LakeTable[]) {
  const database = await openLakeDatabase(localFiles(lake), tables)
  onTestFinished(() => database.close())
  const ask = async (sql: string): Promise<unknown[][]> => {
    const rows: unknown[][] = []
    for await (const chunk of (await database.query(sql)).chunks()) {
      for (const row of chunk) rows.push(row.map((cell) => JSON.parse(cellJson(cell)) as unknown))
    }
    return rows
  }
  return { database, ask }
}

describe('the tables of a lake in SQL', () => {
  test('are exactly the files of the log, whatever lies beside them', async () => {
    const lake = folderWith({})
    const table = await given(
      lake,
      'bronze/trips',
      [field('id', 'int32')],
      [
        { path: 'a.parquet', sql: 'select 1::integer as id' },
        { path: 'b.parquet', sql: 'select 2::integer as id' },
      ],
    )
    const listed = new Map([...table.state.files].slice(0, 1))
    const { ask } = await opened(lake, [{ ...table, state: { ...table.state, files: listed } }])
    expect(await ask('select * from bronze.trips')).toEqual([[1]])
  })

  test('have typed columns also without a file', async () => {
    const lake = folderWith({})
    const fields = [
      field('a', { kind: 'decimal', precision: 9, scale: 2 }),
      field('b', { kind: 'list', element: field('element', 'int64') }),
      field('c', { kind: 'map', value: field('value', 'float32') }),
      field('d', { kind: 'struct', fields: [field('x "y"', 'date')] }),
      field('e', { kind: 'timestamp', unit: 'micros', local: true }),
      field('f', { kind: 'timestamp', unit: 'millis', local: false }),
      field('g', { kind: 'enum', symbols: ['A'] }),
      field('h', { kind: 'time', unit: 'micros' }),
      field('i', { kind: 'fixed', size: 4 }),
    ]
    const { database, ask } = await opened(lake, [await given(lake, 'gold/none', fields, [])])
    expect(await ask('select * from gold.none')).toEqual([])
    expect((await database.query('select * from gold.none')).types).toEqual([
      'DECIMAL(9,2)',
      'BIGINT[]',
      'MAP(VARCHAR, FLOAT)',
      'STRUCT("x ""y""" DATE)',
      'TIMESTAMP',
      'TIMESTAMP WITH TIME ZONE',
      'VARCHAR',
      'BIGINT',
      'BLOB',
    ])
  })

  test('take the newest types of the log: columns that were added, and wider ones', async () => {
    const lake = folderWith({})
    const fields = [field('id', 'int64'), field('note', 'string')]
    const table = await given(lake, 'silver/trips', fields, [
      { path: 'old.parquet', sql: 'select 1::integer as id' },
      { path: 'new.parquet', sql: "select 'x' as note, 5000000000::bigint as id" },
    ])
    const { ask } = await opened(lake, [table])
    expect(await ask('select * from silver.trips order by id')).toEqual([
      [1, null],
      [5_000_000_000, 'x'],
    ])
  })

  test('have partition columns with the types and values of the log', async () => {
    const lake = folderWith({})
    const fields = [field('id', 'int32'), field('zone', 'string'), field('day', 'date'), field('n', 'int64')]
    const table = await given(lake, 'silver/parts', fields, [
      {
        path: 'zone=a%2520b%252Fc/day=2024-03-01/n=7/x.parquet',
        partition: { zone: 'a b/c', day: '2024-03-01', n: '7' },
        sql: 'select 1::integer as id',
      },
      {
        path: 'zone=__HIVE_DEFAULT_PARTITION__/day=__HIVE_DEFAULT_PARTITION__/n=__HIVE_DEFAULT_PARTITION__/y.parquet',
        partition: { zone: null, day: null, n: null },
        sql: 'select 2::integer as id',
      },
      {
        path: 'zone=007/day=1969-12-31/n=-1/z.parquet',
        partition: { zone: '007', day: '1969-12-31', n: '-1' },
        sql: 'select 3::integer as id',
      },
    ])
    const { ask } = await opened(lake, [table])
    expect(await ask('select id, zone, day, n + 1 from silver.parts order by id')).toEqual([
      [1, 'a b/c', '2024-03-01', 8],
      [2, null, null, null],
      [3, '007', '1969-12-31', 0],
    ])
    expect(await ask("select id from silver.parts where day < date '1970-01-01'")).toEqual([[3]])
  })

  test('may lie in a folder whose name is a pattern, a quote or a partition', async () => {
    const lake = join(folderWith({}), "it's [a-z]*?", 'day=7')
    const table = await given(
      lake,
      'bronze/trips',
      [field('id', 'int32')],
      [{ path: 'a.parquet', sql: 'select 1::integer as id' }],
    )
    const { ask } = await opened(lake, [table])
    expect(await ask('select * from bronze.trips')).toEqual([[1]])

    const parts = await given(
      lake,
      'silver/parts',
      [field('id', 'int32'), field('day', 'string')],
      [{ path: 'day=1/a.parquet', partition: { day: '1' }, sql: 'select 1::integer as id' }],
    )
    const { ask: askParts } = await opened(lake, [parts])
    await expect(askParts('select * from silver.parts')).rejects.toMatchObject({
      code: 'LAKE_PATH_AMBIGUOUS',
    })
  })

  test('show times in UTC and are computed in UTC, wherever the machine is', async () => {
    const lake = folderWith({})
    const table = await given(
      lake,
      'gold/w',
      [field('start', { kind: 'timestamp', unit: 'micros', local: false })],
      [{ path: 'a.parquet', sql: "select timestamptz '1969-12-31 23:30:00+00' as start" }],
    )
    const { ask } = await opened(lake, [table])
    expect(await ask("select start, strftime(start, '%d %H:%M'), start::date from gold.w")).toEqual([
      ['1969-12-31T23:30:00Z', '31 23:30', '1969-12-31'],
    ])
  })

  test('are found by whoever lists them, and only those are opened that are asked for', async () => {
    const lake = folderWith({})
    const good = await given(
      lake,
      'bronze/good',
      [field('id', 'int32')],
      [{ path: 'a.parquet', sql: 'select 1::integer as id' }],
    )
    const bad = await given(lake, 'dead_letters', [field('id', 'int32')], [{ path: 'a.parquet', sql: null }])
    const { ask } = await opened(lake, [good, bad])
    expect(await ask('select id from BRONZE.Good')).toEqual([[1]])
    await expect(ask('select * from dead_letters')).rejects.toMatchObject({ code: 'LAKE_FILE_MISSING' })

    const { ask: askGood } = await opened(lake, [good])
    expect(await askGood("select table_schema || '.' || table_name from information_schema.tables")).toEqual([
      ['bronze.good'],
    ])
    expect(await askGood('describe bronze.good')).toHaveLength(1)
  })

  test('are described from the log alone, until their rows are asked for', async () => {
    const lake = folderWith({})
    const file = { path: 'a.parquet', sql: 'select 1::integer as id' }
    const there = await given(lake, 'gold/there', [field('id', 'int32')], [file])
    const gone = await given(lake, 'gold/gone', [field('id', 'int32')], [{ path: 'a.parquet', sql: null }])
    const { ask } = await opened(lake, [there, gone])
    expect((await ask('describe gold.gone')).map(([name, type]) => [name, type])).toEqual([['id', 'INTEGER']])
    expect(await ask('select table_name, column_name from information_schema.columns order by 1')).toEqual([
      ['gone', 'id'],
      ['there', 'id'],
    ])
    expect(await ask('select id from gold.there')).toEqual([[1]])
    await expect(ask('summarize gold.gone')).rejects.toMatchObject({ code: 'LAKE_FILE_MISSING' })
  })

  test('say what is wrong with the SQL, and load nothing from the net', async () => {
    const lake = folderWith({})
    const { ask } = await opened(lake, [await given(lake, 'gold/w', [field('id', 'int32')], [])])
    const failure = (sql: string) =>
      ask(sql).then(
        () => null,
        (error: unknown) => error,
      )
    expect(await failure('selec 1')).toMatchObject({
      code: 'SQL',
      message: expect.stringMatching(/^syntax error/),
    })
    expect(await failure('select * from gold.x')).toMatchObject({
      code: 'SQL',
      advice: 'The tables are: gold.w.',
    })
    expect(await failure('select * from nope')).toMatchObject({ message: expect.not.stringContaining('pg_') })
    expect(await failure('select nope from gold.w')).toMatchObject({
      message: expect.stringContaining('"id"'),
    })
    expect(await failure("select * from 's3://bucket/a.parquet'")).toMatchObject({
      code: 'SQL',
      advice: expect.stringContaining('no extensions'),
    })
    expect(await failure("select st_area('x')")).toMatchObject({ code: 'SQL' })
  })

  test('come in chunks, and several statements give the rows of the last', async () => {
    const lake = folderWith({})
    const { database, ask } = await opened(lake, [])
    expect(await ask('create table t as select 1 as a; select a + 1 from t')).toEqual([[2]])
    expect((await database.query('create table u (a int)')).hasRows).toBe(false)
    let chunks = 0
    let rows = 0
    for await (const chunk of (await database.query('select * from range(100000)')).chunks()) {
      chunks++
      rows += chunk.length
    }
    expect(rows).toBe(100_000)
    expect(chunks).toBeGreaterThan(10)
  })
})
