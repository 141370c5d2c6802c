import { describe, expect, it } from 'vitest'
import { computeOracle, type OracleRecord } from '../../src/testing/oracle/oracle.ts'
import { doubleOf, nearestDouble, nearestRoot, numeratorOf } from '../../src/testing/oracle/rational.ts'
import { sketchQuantile } from '../../src/testing/oracle/sketch.ts'
import type { AggregateNode, PipelineSpec, RowNode, SourceNode } from '../../src/topology/node.ts'

/** The oracle is held to examples worked out by hand from decision 0001. */
const source: SourceNode = {
  kind: 'source',
  name: 'visits',
  schema: {
    avro: {
      type: 'record',
      name: 'Visit',
      fields: [
        { name: 'who', type: ['null', 'string'] },
        { name: 'at', type: { type: 'long', logicalType: 'timestamp-millis' } },
        { name: 'paid', type: 'double' },
      ],
    },
  },
  eventTime: 'at',
  watermark: { kind: 'bounded-out-of-orderness', boundMs: 5, idleAfterMs: null, futureLimitMs: 1_000 },
}

const options = { compression: 'none', rowGroupRows: 10, fileRowsMax: 10, dictionary: null } as const

function silver(input: RowNode): PipelineSpec {
  return {
    name: 'p',
    source,
    tables: [{ layer: 'silver', name: 's', input, partitionBy: [], options }],
    circuitBreaker: null,
  }
}

function gold(input: AggregateNode): PipelineSpec {
  return {
    name: 'p',
    source,
    tables: [{ layer: 'gold', name: 'g', input, partitionBy: [], options }],
    circuitBreaker: null,
  }
}

function visits(
  ...rows: readonly (readonly [who: string | null, atMs: number, paid?: number])[]
): readonly OracleRecord[] {
  return rows.map(([who, at, paid], offset) => ({
    offset,
    timestampMs: 0,
    arrivalMs: 0,
    key: null,
    value: new Uint8Array(1),
    headers: null,
    schemaId: 1,
    decoded: { kind: 'row', row: { who, at, paid: paid ?? 1 } },
  }))
}

function run(
  spec: PipelineSpec,
  ...partitions: readonly (readonly OracleRecord[])[]
): ReturnType<typeof computeOracle> {
  return computeOracle(
    spec,
    partitions.map((records, partition) => ({ topic: 'visits', partition, records })),
  )
}

const counting = (sizeMs: number, allowedLatenessMs = 0): AggregateNode => ({
  kind: 'aggregate',
  name: 'per_who',
  input: source,
  keyBy: ['who'],
  window: { kind: 'tumbling', sizeMs, offsetMs: 0 },
  allowedLatenessMs,
  late: 'dead-letter',
  aggregates: [
    { name: 'visits', spec: { kind: 'count', field: null } },
    { name: 'paid', spec: { kind: 'sum', field: 'paid' } },
  ],
})

describe('the oracle', () => {
  it('puts rows before 1970 into windows as all others', () => {
    const { tables } = run(gold(counting(10)), visits(['a', -11], ['a', -10], ['a', -1], ['a', 0], ['a', 9]))
    expect(
      tables.get('gold/g')!.map((row) => [row['window_start'], row['window_end'], row['visits']]),
    ).toEqual([
      ['-20000', '-10000', '1'],
      ['-10000', '0', '2'],
      ['0', '10000', '2'],
    ])
  })

  it('judges a row against the watermark before it, also one that a later step refuses', () => {
    // bound 5: 20 moves W to 15; [0, 10) is late from W = 10 on.
    const sane: RowNode = {
      kind: 'expect',
      name: 'sane',
      input: source,
      rules: [{ field: 'who', rule: { kind: 'not-null' } }],
    }
    const result = run(
      gold({ ...counting(10), input: sane }),
      visits(['a', 9], [null, 20], ['a', 9], ['a', 10]),
    )
    expect(result.deadLetters.map(({ reason, stage, record }) => [reason, stage, record['_offset']])).toEqual(
      [
        ['invalid', 'sane', '1'],
        ['late', 'per_who', '2'],
      ],
    )
    expect(result.late).toEqual({ per_who: 1 })
    expect(result.tables.get('gold/g')!.map((row) => row['visits'])).toEqual(['1', '1'])
  })

  it('keeps watermarks per partition and panes across partitions', () => {
    const { tables, late } = run(gold(counting(10)), visits(['a', 1], ['a', 50]), visits(['a', 2]))
    expect(late).toEqual({})
    expect(tables.get('gold/g')![0]).toMatchObject({ who: 'a', window_start: '0', visits: '2' })
  })

  it('lets a future row neither move the watermark nor go further than bronze', () => {
    const result = run(gold(counting(10)), visits(['a', 1_001], ['a', 1]))
    expect(result.deadLetters.map(({ reason, stage }) => [reason, stage])).toEqual([['future', 'event-time']])
    expect(result.tables.get('gold/g')).toHaveLength(1)
  })

  it('drops a row whose key was kept less than the horizon away', () => {
    const once: RowNode = { kind: 'dedupe', name: 'once', input: source, by: ['who'], withinMs: 10 }
    const result = run(
      silver(once),
      visits(['a', 100], ['a', 109], ['a', 110], ['a', 101], [null, 111], [null, 112]),
    )
    expect(result.tables.get('silver/s')!.map((row) => row['at'])).toEqual(['100000', '110000', '111000'])
    expect(result.dropped).toEqual({ once: 3 })
  })

  it('forgets a key once the watermark has passed it by the horizon', () => {
    // a at 100; b at 115 moves W to 110 = 100 + 10: now a at 105 is not a duplicate any more.
    const once: RowNode = { kind: 'dedupe', name: 'once', input: source, by: ['who'], withinMs: 10 }
    const kept = run(silver(once), visits(['a', 100], ['b', 114], ['a', 105])).tables.get('silver/s')!
    const forgotten = run(silver(once), visits(['a', 100], ['b', 115], ['a', 105])).tables.get('silver/s')!
    expect([kept.length, forgotten.length]).toEqual([2, 3])
  })

  it('sums doubles exactly and rounds once', () => {
    const paid = [1e16, 1, -1e16, 0.1, 0.1, 0.1]
    const { tables } = run(gold(counting(10)), visits(...paid.map((value) => ['a', 1, value] as const)))
    expect(tables.get('gold/g')![0]!['paid']).toBe('1.3')
  })

  it('rounds ties to even, subnormals and overflow too', () => {
    expect(nearestDouble(2n ** 53n + 1n, 1n)).toBe(2 ** 53)
    expect(nearestDouble(2n ** 53n + 3n, 1n)).toBe(2 ** 53 + 4)
    expect(nearestDouble(-1n, 3n)).toBe(-1 / 3)
    expect(doubleOf(numeratorOf(5e-324) * 3n)).toBe(1.5e-323)
    expect(doubleOf(numeratorOf(Number.MAX_VALUE) * 2n)).toBe(Infinity)
    for (const value of [0.1, 1e300, -2.5e-310, 7]) expect(doubleOf(numeratorOf(value))).toBe(value)
  })

  it('takes roots that round once, and do not overflow before', () => {
    expect(nearestRoot({ numerator: 2n, denominator: 1n })).toBe(Math.SQRT2)
    expect(nearestRoot({ numerator: 1n, denominator: 4n })).toBe(0.5)
    expect(nearestRoot({ numerator: 0n, denominator: 1n })).toBe(0)
    expect(nearestRoot({ numerator: 10n ** 600n, denominator: 1n })).toBe(1e300)
    expect(nearestRoot({ numerator: 1n, denominator: 10n ** 640n })).toBe(1e-320)
    // (2^53 + 1)^2: a tie, which goes to the even neighbour.
    expect(nearestRoot({ numerator: (2n ** 53n + 1n) ** 2n, denominator: 1n })).toBe(2 ** 53)
  })

  it('finds quantiles within their accuracy, the first and the last of them exactly', () => {
    const values = Array.from({ length: 100 }, (_, i) => 1.1 ** (i - 50) * (i % 3 === 0 ? -1 : 1))
    const sorted = values.toSorted((a, b) => a - b)
    for (const q of [0.1, 0.37, 0.5, 0.9]) {
      const exact = sorted[Math.floor(q * 99)]!
      expect(Math.abs(sketchQuantile(values, q, 0.01) - exact)).toBeLessThanOrEqual(0.01 * Math.abs(exact))
    }
    expect([sketchQuantile(values, 0, 0.01), sketchQuantile(values, 1, 0.01)]).toEqual([
      sorted[0],
      sorted[99],
    ])
    expect(sketchQuantile([Number.NaN, Infinity, 3], 1, 0.01)).toBeNaN()
    expect(sketchQuantile([-0], 0.5, 0.01)).toBe(0)
  })
})
