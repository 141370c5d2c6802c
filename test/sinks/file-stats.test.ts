import { describe, expect, test } from 'vitest'
import { parquetEncoder } from '../../sinks/parquet/parquet-encoder.ts'
import type { Field } from '../../src/columns/column-type.ts'
import { batchOf, DOUBLE, field, INT, LONG, MICROS, shapeOf, STRING } from './table-kit.ts'
import type { RowObject } from './table-kit.ts'

const encoder = parquetEncoder()

interface Stats {
  readonly minValues: Readonly<Record<string, unknown>>
  readonly maxValues: Readonly<Record<string, unknown>>
  readonly nullCount: Readonly<Record<string, unknown>>
}

function statsOf(fields: readonly Field[], rows: readonly RowObject[], options = {}): Stats {
  const [file] = encoder.encode(shapeOf('t', fields, [], options), batchOf(fields, rows), null, rows.length)
  return JSON.parse(file!.stats) as Stats
}

/** The largest decimal of scale 4. */
function nines(digits: number): string {
  return `${'9'.repeat(digits - 4)}.9999`
}

function compareBytes(a: unknown, b: string): number {
  return Buffer.compare(Buffer.from(a as string), Buffer.from(b))
}

describe('statistics', () => {
  test('have bounds and null counts over all row groups', () => {
    const fields = [
      field('n', INT, true),
      field('s', STRING, true),
      field('e', { kind: 'enum', symbols: ['b', 'a'] }),
      field('day', { kind: 'date' }),
      field('at', MICROS),
      field('local', { kind: 'timestamp', unit: 'millis', local: true }),
      field('in', { kind: 'struct', fields: [field('x', DOUBLE, true)] }, true),
      field('b', { kind: 'bytes' }, true),
      field('l', { kind: 'list', element: field('i', INT) }),
      field('never', LONG, true),
      field('f', { kind: 'boolean' }),
    ]
    const at = 1_700_000_000_000_000n
    const rows = [-5, 7, 3].map((n, index) => ({
      n: index === 2 ? null : n,
      s: ['ü', 'a', 'zz'][index],
      e: ['b', 'a', 'b'][index],
      day: 19_000 + index,
      at: at + BigInt(index) * 1_001n + 1n,
      local: 1_700_000_000_001 + index,
      in: index === 0 ? null : { x: index === 1 ? null : 0.5 },
      b: null,
      l: [1],
      f: true,
    }))
    expect(statsOf(fields, rows, { rowGroupRows: 1 })).toEqual({
      numRecords: 3,
      minValues: {
        n: -5,
        s: 'a',
        e: 'a',
        day: '2022-01-08',
        at: '2023-11-14T22:13:20.000Z',
        local: '2023-11-14T22:13:20.001',
        in: { x: 0.5 },
      },
      maxValues: {
        n: 7,
        s: 'ü',
        e: 'b',
        day: '2022-01-10',
        // 22:13:20.002003, rounded up.
        at: '2023-11-14T22:13:20.003Z',
        local: '2023-11-14T22:13:20.003',
        in: { x: 0.5 },
      },
      nullCount: { n: 1, s: 0, e: 0, day: 0, at: 0, local: 0, in: { x: 2 }, b: 3, never: 3, f: 0 },
    })
  })

  test('longs and decimals are exact', () => {
    const fields = [
      field('long', LONG),
      ...[9, 18, 38].map((precision) =>
        field(`d${precision}`, { kind: 'decimal', precision, scale: 4 } as const),
      ),
    ]
    const rows = [1n, -1n].map((sign) => ({
      long: sign * (2n ** 63n - 1n),
      ...Object.fromEntries(
        [9, 18, 38].map((p) => [`d${p}`, { unscaled: sign * (10n ** BigInt(p) - 1n), scale: 4 }]),
      ),
    }))
    const [file] = encoder.encode(shapeOf('t', fields), batchOf(fields, rows), null, 2)
    expect(file!.stats).toContain(
      `"maxValues":{"long":9223372036854775807,"d9":${nines(9)},"d18":${nines(18)},"d38":${nines(38)}}`,
    )
    expect(file!.stats).toContain(
      `"minValues":{"long":-9223372036854775807,"d9":-${nines(9)},"d18":-${nines(18)},"d38":-${nines(38)}}`,
    )
  })

  test('NaN, infinity and years that readers cannot parse have no bounds', () => {
    const fields = [
      field('nan', DOUBLE),
      field('infinite', { kind: 'float32' }),
      field('far', { kind: 'date' }),
      field('beyond', MICROS),
      field('fine', DOUBLE),
      field('in', { kind: 'struct', fields: [field('x', DOUBLE), field('y', INT)] }, true),
    ]
    const row = { nan: 1, infinite: 1, far: 1, beyond: 1n, fine: 1, in: { x: 1, y: 1 } }
    const odd = {
      nan: NaN,
      infinite: -Infinity,
      far: 2_932_897,
      beyond: 10n ** 18n,
      fine: 2,
      in: { x: 2, y: 2 },
    }
    const stats = statsOf(fields, [row, odd])
    expect(stats.maxValues).toEqual({ fine: 2, in: { x: 2, y: 2 } })
    const nested = statsOf(fields, [row, { ...row, in: { x: NaN, y: 1 } }, { ...row, in: null }])
    expect(nested.maxValues).not.toHaveProperty('in')
    expect(nested.minValues).toMatchObject({ nan: 1, infinite: 1, far: '1970-01-02', fine: 1 })
  })

  test('a bound of cut strings is not below any of them', () => {
    const fields = [field('s', STRING)]
    for (const tail of ['z', 'é', '\u{10ffff}', '\uffff', '~']) {
      const rows = [1, 40, 64, 100, 1000].map((length) => ({ s: tail.repeat(length) }))
      const { minValues, maxValues } = statsOf(fields, rows)
      for (const { s } of rows) {
        if ('s' in minValues) expect(compareBytes(minValues['s'], s)).toBeLessThanOrEqual(0)
        if ('s' in maxValues) expect(compareBytes(maxValues['s'], s)).toBeGreaterThanOrEqual(0)
      }
    }
  })

  test('cover the first 32 leaves', () => {
    const fields = Array.from({ length: 40 }, (_, index) => field(`c${index}`, INT))
    const row = Object.fromEntries(fields.map(({ name }) => [name, 1]))
    expect(Object.keys(statsOf(fields, [row]).minValues)).toEqual(fields.slice(0, 32).map(({ name }) => name))
  })
})
