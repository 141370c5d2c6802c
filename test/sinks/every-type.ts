import type { ColumnType, Field } from '../../src/columns/column-type.ts'
import { DOUBLE, field, INT, LONG, MICROS, MILLIS, STRING } from './table-kit.ts'
import type { RowObject } from './table-kit.ts'

const bytes = (...values: number[]) => Uint8Array.from(values)
const COLOR: ColumnType = { kind: 'enum', symbols: ['RED', 'GREEN', 'BLUE', 'ÄRGER'] }
const decimal = (precision: number, scale: number): ColumnType => ({ kind: 'decimal', precision, scale })
const nines = (digits: number) => 10n ** BigInt(digits) - 1n

/** A type and values of it, the extreme and the odd ones first. */
interface Sample {
  readonly name: string
  readonly type: ColumnType
  readonly values: readonly unknown[]
}

/** Timestamps end in the year 9999, because DuckDB and Python do not go on much further. */
const YEAR_1_MS = -62_135_596_800_000
const YEAR_9999_MS = 253_402_300_799_999

export const SCALARS: readonly Sample[] = [
  { name: 'boolean', type: { kind: 'boolean' }, values: [true, false] },
  { name: 'int32', type: INT, values: [0, -1, 2 ** 31 - 1, -(2 ** 31), 7] },
  { name: 'int64', type: LONG, values: [0n, -1n, 2n ** 63n - 1n, -(2n ** 63n), 2n ** 53n + 1n] },
  { name: 'float32', type: { kind: 'float32' }, values: [0, -0, 1.5, 3.4028234663852886e38, 1e-45, 0.1] },
  { name: 'float64', type: DOUBLE, values: [0, -0, Math.PI, 1.7976931348623157e308, 5e-324, -0.1] },
  { name: 'not_a_number', type: DOUBLE, values: [NaN, Infinity, -Infinity, 1, NaN] },
  {
    name: 'string',
    type: STRING,
    values: ['', 'a', 'São Paulo', '\u{1f600} 名前', 'x'.repeat(300), '\uffff\u{10ffff}', '"\\\n\0'],
  },
  {
    name: 'bytes',
    type: { kind: 'bytes' },
    values: [bytes(), bytes(0), bytes(255, 0, 128), bytes(1, 2, 3, 4, 5)],
  },
  {
    name: 'fixed',
    type: { kind: 'fixed', size: 3 },
    values: [bytes(0, 0, 0), bytes(255, 254, 253), bytes(1, 2, 3)],
  },
  { name: 'enum', type: COLOR, values: ['RED', 'BLUE', 'ÄRGER', 'GREEN'] },
  { name: 'date', type: { kind: 'date' }, values: [0, -1, 19_000, -719_162, 2_932_896] },
  { name: 'time_millis', type: { kind: 'time', unit: 'millis' }, values: [0, 86_399_999, 1] },
  { name: 'time_micros', type: { kind: 'time', unit: 'micros' }, values: [0n, 86_399_999_999n, 1n] },
  { name: 'timestamp_millis', type: MILLIS, values: [0, -1, 1_700_000_000_123, YEAR_1_MS, YEAR_9999_MS] },
  {
    name: 'timestamp_micros',
    type: MICROS,
    values: [0n, -1n, 1_700_000_000_123_456n, BigInt(YEAR_1_MS) * 1000n, BigInt(YEAR_9999_MS) * 1000n + 999n],
  },
  {
    name: 'decimal_9',
    type: decimal(9, 2),
    values: [0n, 1n, -1n, nines(9), -nines(9)].map((unscaled) => ({ unscaled, scale: 2 })),
  },
  {
    name: 'decimal_18',
    type: decimal(18, 0),
    values: [0n, nines(18), -nines(18)].map((unscaled) => ({ unscaled, scale: 0 })),
  },
  {
    name: 'decimal_38',
    type: decimal(38, 10),
    values: [0n, 5n, nines(38), -nines(38)].map((unscaled) => ({ unscaled, scale: 10 })),
  },
]

const optional = (name: string, type: ColumnType) => field(name, type, true)
const list = (element: Field): ColumnType => ({ kind: 'list', element })
const map = (value: Field): ColumnType => ({ kind: 'map', value })

export const NESTED: readonly Sample[] = [
  { name: 'list_int', type: list(field('item', INT)), values: [[], [1], [1, 2, 3], [-5]] },
  {
    name: 'list_maybe_string',
    type: list(optional('item', STRING)),
    values: [[null], ['', null, 'ü'], [], ['a']],
  },
  {
    name: 'list_enum',
    type: list(optional('item', COLOR)),
    values: [['RED', null], [], ['GREEN', 'GREEN', 'BLUE']],
  },
  {
    name: 'list_list',
    type: list(optional('item', list(optional('item', LONG)))),
    values: [[[1n], null, [], [null, 2n]], [], [null]],
  },
  { name: 'map_long', type: map(field('value', LONG)), values: [{}, { a: 1n }, { b: 2n, '': 3n, ü: -4n }] },
  {
    name: 'map_maybe_double',
    type: map(optional('value', DOUBLE)),
    values: [{ a: null }, {}, { b: 1.5, c: null }],
  },
  {
    name: 'struct',
    type: {
      kind: 'struct',
      fields: [
        field('lat', DOUBLE),
        optional('color', COLOR),
        optional('when', MILLIS),
        optional('tag', STRING),
      ],
    },
    values: [
      { lat: 1, color: null, when: null, tag: null },
      { lat: 2, color: 'RED', when: 1_700_000_000_123, tag: 'x' },
      { lat: 3, color: 'BLUE', when: -1, tag: '' },
    ],
  },
  {
    name: 'struct_struct',
    type: {
      kind: 'struct',
      fields: [
        optional('inner', {
          kind: 'struct',
          fields: [field('color', COLOR), field('when', MILLIS), optional('n', INT)],
        }),
        optional(
          'items',
          list(field('item', { kind: 'struct', fields: [field('k', STRING), optional('v', LONG)] })),
        ),
      ],
    },
    values: [
      { inner: null, items: null },
      { inner: { color: 'GREEN', when: 5, n: null }, items: [] },
      {
        inner: { color: 'BLUE', when: 6, n: 9 },
        items: [
          { k: 'a', v: null },
          { k: 'b', v: 7n },
        ],
      },
    ],
  },
  {
    name: 'map_struct',
    type: map(
      optional('value', {
        kind: 'struct',
        fields: [optional('d', decimal(20, 3)), field('f', { kind: 'fixed', size: 2 })],
      }),
    ),
    values: [
      { x: null },
      { x: { d: null, f: bytes(1, 2) }, y: { d: { unscaled: -12_345n, scale: 3 }, f: bytes(3, 4) } },
      {},
    ],
  },
]

export const SAMPLES = [...SCALARS, ...NESTED]

/** A column of each type: `nullable` ones are null in two rows of five, at places that differ by column. */
export function everyType(
  rowCount: number,
  nullable: boolean,
): { fields: readonly Field[]; rows: readonly RowObject[] } {
  const fields = [field('id', INT), ...SAMPLES.map(({ name, type }) => field(name, type, nullable))]
  const rows = Array.from({ length: rowCount }, (_, id) => {
    const values = SAMPLES.map(({ name, values }, column) => {
      const isNull = nullable && (id * 7 + column * 3) % 5 < 2
      return [name, isNull ? null : values[(id + column) % values.length]] as const
    })
    return { id, ...Object.fromEntries(values) }
  })
  return { fields, rows }
}
