import type { Field } from '../../src/columns/column-type.ts'
import type { Lake, PartitionColumn, TableShape } from '../../src/ports.ts'
import { everyType, SCALARS } from './every-type.ts'
import { plainRow } from './plain-value.ts'
import { commit, DOUBLE, field, INT, LONG, MICROS, MILLIS, shapeOf, stage, STRING } from './table-kit.ts'
import type { RowObject } from './table-kit.ts'

/** The tables that outside readers are asked to read, and what they must find. */

export type PlainRow = Record<string, unknown>

export interface WrittenTable {
  /** Also its folder. */
  readonly name: string
  readonly rows: readonly PlainRow[]
  /** Conditions in SQL, and how many rows meet them. */
  readonly counts: readonly { readonly condition: string; readonly expected: number }[]
}

export async function writeTables(lake: Lake): Promise<readonly WrittenTable[]> {
  const writer = new TableWriter(lake)
  await writeTypes(writer)
  await writeSkipping(writer)
  await writePartitions(writer)
  await writeHidden(writer)
  await writeLocal(writer)
  await writeEvolved(writer)
  await writeHistory(writer)
  return writer.written
}

class TableWriter {
  readonly lake: Lake
  readonly written: WrittenTable[] = []

  constructor(lake: Lake) {
    this.lake = lake
  }

  /** A commit for each part. `derived` gives the derived partition columns. */
  async write(
    shape: TableShape,
    parts: readonly (readonly RowObject[])[],
    counts: WrittenTable['counts'] = [],
    derived: (row: RowObject) => PlainRow = () => ({}),
  ): Promise<void> {
    const { store, format } = this.lake
    const log = format.open(shape)
    for (const [index, rows] of parts.entries()) {
      await commit(log, await stage(store, format.encoder, shape, rows, `part${index}`))
    }
    const rows = parts.flat().map((row) => ({ ...plainRow(shape.fields, row), ...derived(row) }))
    this.written.push({ name: shape.path, rows, counts })
  }
}

async function writeTypes(writer: TableWriter): Promise<void> {
  const nullable = everyType(60, true)
  const required = everyType(60, false)
  await writer.write(shapeOf('nullable', nullable.fields), [nullable.rows])
  await writer.write(shapeOf('required', required.fields), [required.rows])
  const zstd = shapeOf('zstd', nullable.fields, [], { compression: 'zstd', rowGroupRows: 7 })
  await writer.write(zstd, [nullable.rows])
  const dictionary = ['string', 'int64', 'date']
  const plain = shapeOf('plain', nullable.fields, [], { compression: 'none', fileRowsMax: 11, dictionary })
  await writer.write(plain, [nullable.rows])
  await writer.write(shapeOf('nothing', nullable.fields), [Array.from({ length: 9 }, (_, id) => ({ id }))])
}

const ODD = [
  'plain',
  'São Paulo',
  'a/b',
  'a=b',
  '100%',
  '%25',
  "quote'",
  'dots..',
  'q?#&+',
  ' spaced ',
  '\u{1f600}',
  'new\nline',
  '..',
]

function moment(id: number): string {
  return `TIMESTAMP '${new Date(1_700_000_000_000 + id * 1500).toISOString().slice(0, 19)}'`
}

/** Files of disjoint ranges: a wrong bound in the log makes a reader skip a file that has the value. */
async function writeSkipping(writer: TableWriter): Promise<void> {
  const fields = [
    field('id', INT),
    field('long', LONG),
    field('double', DOUBLE),
    field('text', STRING, true),
    field('moment', MICROS, true),
    field('day', { kind: 'date' }, true),
    field('price', { kind: 'decimal', precision: 12, scale: 2 }, true),
  ]
  const rows = Array.from({ length: 40 }, (_, id) => ({
    id,
    long: BigInt(id) * 10n ** 17n,
    double: id === 15 ? NaN : id / 4,
    // The bound of a long string is cut: the upper one must stay above all of them.
    text: id % 7 === 3 ? null : `${'z'.repeat(70)}${String(id).padStart(3, '0')}`,
    moment: id % 5 === 2 ? null : 1_700_000_000_000_000n + BigInt(id) * 1_500_001n,
    day: id % 4 === 1 ? null : 19_000 + id,
    price: id % 6 === 5 ? null : { unscaled: BigInt(id) * 101n - 2000n, scale: 2 },
  }))
  const parts = [0, 10, 20, 30].map((start) => rows.slice(start, start + 10))
  await writer.write(shapeOf('skipping', fields), parts, [
    { condition: 'id = 17', expected: 1 },
    { condition: 'id >= 19 and id <= 20', expected: 2 },
    { condition: `long = ${39n * 10n ** 17n}`, expected: 1 },
    { condition: `long > ${29n * 10n ** 17n}`, expected: 10 },
    { condition: 'double >= 9.75', expected: 1 + 1 },
    { condition: `text = '${'z'.repeat(70)}039'`, expected: 1 },
    {
      condition: `text > '${'z'.repeat(70)}029'`,
      expected: rows.filter((row) => row.id > 29 && row.text !== null).length,
    },
    {
      condition: `text >= '${'z'.repeat(64)}'`,
      expected: rows.filter((row) => row.text !== null).length,
    },
    {
      condition: `moment > ${moment(38)}`,
      expected: rows.filter((row) => row.moment !== null && row.id >= 38).length,
    },
    { condition: `day = DATE '2022-02-07'`, expected: rows.filter((row) => row.day === 19_030).length },
    {
      condition: `day >= DATE '2022-02-06'`,
      expected: rows.filter((row) => row.day !== null && row.day >= 19_029).length,
    },
    { condition: 'price = -20.00', expected: 1 },
    {
      condition: 'price > 18',
      expected: rows.filter((row) => row.price !== null && row.price.unscaled > 1800n).length,
    },
    { condition: 'text is null', expected: rows.filter((row) => row.text === null).length },
  ])
}

function day({ at }: RowObject): PlainRow {
  return { at_day: at === null ? null : `s:${new Date(at as number).toISOString().slice(0, 10)}` }
}

async function writePartitions(writer: TableWriter): Promise<void> {
  const partitionTypes = ['boolean', 'int32', 'int64', 'enum', 'date', 'time_millis', 'time_micros']
  for (const sample of SCALARS.filter(({ name }) => partitionTypes.includes(name))) {
    const fields = [field('id', INT), field('part', sample.type, true), field('text', STRING)]
    const values = [...sample.values, null]
    const rows = Array.from({ length: 20 }, (_, id) => ({
      id,
      part: values[id % values.length],
      text: `t${id}`,
    }))
    await writer.write(shapeOf(`by_${sample.name}`, fields, [{ kind: 'value', field: 'part' }]), [rows])
  }
  const fields = [
    field('id', INT),
    field('part', STRING, true),
    field('at', MILLIS, true),
    field('more', LONG),
  ]
  const rows = Array.from({ length: 45 }, (_, id) => ({
    id,
    part: [...ODD, null][id % (ODD.length + 1)],
    at: id % 11 === 5 ? null : 1_700_000_000_000 + id * 3_600_000 * 7 - (id % 2) * 1_800_000_000_000,
    more: BigInt(id),
  }))
  const partitionBy: PartitionColumn[] = [
    { kind: 'value', field: 'part' },
    { kind: 'day', field: 'at', name: 'at_day' },
  ]
  await writer.write(
    shapeOf('by_text_and_day', fields, partitionBy),
    [rows.slice(0, 20), rows.slice(20)],
    [
      ...ODD.map((value) => ({
        condition: `part = '${value.replaceAll("'", "''")}'`,
        expected: rows.filter((row) => row.part === value).length,
      })),
      {
        condition: `at_day = '2023-11-14'`,
        expected: rows.filter((row) => day(row)['at_day'] === 's:2023-11-14').length,
      },
      { condition: 'part is null', expected: rows.filter((row) => row.part === null).length },
    ],
    day,
  )
}

/** Readers take names that begin with '_' for hidden ones, unless the log has them. */
async function writeHidden(writer: TableWriter): Promise<void> {
  const fields = [field('id', INT), field('_topic', STRING)]
  const rows = ['a', 'b', 'a'].map((topic, id) => ({ id, _topic: topic }))
  await writer.write(shapeOf('by_hidden', fields, [{ kind: 'value', field: '_topic' }]), [rows])
}

/** Local timestamps need protocol 3/7. */
async function writeLocal(writer: TableWriter): Promise<void> {
  const fields = [
    field('id', INT),
    field('local_millis', { kind: 'timestamp', unit: 'millis', local: true }, true),
    field('local_micros', { kind: 'timestamp', unit: 'micros', local: true }),
  ]
  const rows = Array.from({ length: 10 }, (_, id) => ({
    id,
    local_millis: id % 3 === 0 ? null : 1_700_000_000_123 + id,
    local_micros: BigInt(id) * 10n ** 15n - 5n,
  }))
  await writer.write(
    shapeOf('local', fields),
    [rows],
    [{ condition: `local_micros > TIMESTAMP '2200-01-01 00:00:00'`, expected: 2 }],
  )
}

async function writeEvolved(writer: TableWriter): Promise<void> {
  const { store, format } = writer.lake
  const old: Field[] = [field('id', INT), field('fare', DOUBLE)]
  const now: Field[] = [
    field('tip', DOUBLE, true),
    field('id', INT),
    field('fare', DOUBLE, true),
    field('tag', STRING, true),
  ]
  const before = Array.from({ length: 5 }, (_, id) => ({ id, fare: id / 2 }))
  const after = Array.from({ length: 5 }, (_, index) => ({ id: 5 + index, fare: null, tip: 1, tag: 'x' }))
  const first = shapeOf('evolved', old)
  await commit(format.open(first), await stage(store, format.encoder, first, before, 'a'))
  const second = shapeOf('evolved', now)
  await commit(format.open(second), await stage(store, format.encoder, second, after, 'b'))
  writer.written.push({
    name: 'evolved',
    rows: [...before, ...after].map((row) => plainRow(now, row)),
    counts: [{ condition: 'tag is null', expected: 5 }],
  })
}

/** 25 commits, removes, two log checkpoints, and the commits before the last of them deleted. */
async function writeHistory(writer: TableWriter): Promise<void> {
  const { store, format } = writer.lake
  const fields = [field('id', INT), field('part', STRING, true), field('text', STRING)]
  const shape = shapeOf('history', fields, [{ kind: 'value', field: 'part' }])
  const log = format.open(shape)
  let alive: RowObject[] = []
  for (let version = 0; version < 25; version++) {
    const rows = [0, 1].map((index) => ({
      id: version * 2 + index,
      part: ['a b', null][index],
      text: `v${version}`,
    }))
    const state = await log.read()
    const oldest = [...state.files.values()].filter(
      (file) => file.tags['millrace.epoch'] === `v${version - 4}`,
    )
    const remove = version % 6 === 5 ? oldest : []
    const add = await stage(store, format.encoder, shape, rows, `v${version}`)
    await commit(log, add, { remove, txn: new Map([['task', version]]) })
    if (remove.length > 0) alive = alive.filter((row) => row['text'] !== `v${version - 4}`)
    alive.push(...rows)
  }
  for (let version = 0; version < 20; version++) {
    await store.delete(`history/_delta_log/${String(version).padStart(20, '0')}.json`)
  }
  writer.written.push({
    name: 'history',
    rows: alive.map((row) => plainRow(fields, row)),
    counts: [{ condition: `part = 'a b'`, expected: alive.length / 2 }],
  })
}
