import {
  between,
  boundedOutOfOrderness,
  bronze,
  millis,
  notNull,
  pipeline,
  satisfies,
  silver,
  stream,
  type RowStream,
} from 'millrace'
import { replay } from 'millrace/testing'
import { describe, expect, it } from 'vitest'
import { Reading, reading, type ReadingKinds } from '../support/reading.ts'

type Rows = RowStream<Reading, ReadingKinds>

function withSteps(
  steps: (rows: Rows) => Rows,
  circuitBreaker: { maxShare: number; sample: number } | false = false,
) {
  const readings = stream('readings', Reading, {
    eventTime: 'at',
    watermark: boundedOutOfOrderness(millis(5), { futureLimit: millis(1_000) }),
  })
  return pipeline({
    name: 'steps',
    tables: [bronze('readings', readings), silver('readings', steps(readings))],
    circuitBreaker,
  })
}

const asItIs = withSteps((rows) => rows)

describe('event time', () => {
  it('that is null or beyond the limit makes a dead letter, stays in bronze, and moves no watermark', async () => {
    const records = [
      reading(100, { arrivalMs: 100 }),
      reading(null, { arrivalMs: 100 }),
      reading(1_101, { arrivalMs: 100 }),
      reading(1_100, { arrivalMs: 100 }),
    ]
    const result = await replay(asItIs, { records })
    expect(result.rows('bronze/readings')).toHaveLength(4)
    expect(result.rows('silver/readings')).toHaveLength(2)
    expect(
      result.rows('dead_letters').map((letter) => [letter['_offset'], letter['reason'], letter['stage']]),
    ).toEqual([
      [1, 'invalid', 'event-time'],
      [2, 'future', 'event-time'],
    ])
  })
})

describe('expect', () => {
  it('names the first broken rule, and lets null pass all but notNull', async () => {
    const program = withSteps((rows) =>
      rows.expect('sane', { value: between(0, 10), sensor: [notNull(), satisfies((text) => text !== 'x')] }),
    )
    const records = [
      reading(1, { value: 10 }),
      reading(2, { value: null }),
      reading(3, { value: -0.5, sensor: null }),
      reading(4, { sensor: null }),
      reading(5, { sensor: 'x' }),
    ]
    const result = await replay(program, { records })
    expect(result.rows('silver/readings')).toHaveLength(2)
    expect(result.rows('dead_letters').map(({ stage, message }) => [stage, message])).toEqual([
      ['sane', 'value: -0.5 is not between 0 and 10'],
      ['sane', 'sensor is null'],
      ['sane', 'sensor: "x" does not satisfy the rule'],
    ])
  })
})

describe('callbacks', () => {
  it('that throw make a dead letter with the stack in it; the others go on', async () => {
    const program = withSteps((rows) =>
      rows.filter('picky', (row) => {
        if (row.value === 13) throw new RangeError('thirteen')
        return row.value !== 2
      }),
    )
    const records = [1, 2, 13, 3].map((value, i) => reading(i, { value }))
    const result = await replay(program, { records })
    expect(result.rows('silver/readings').map((row) => row['value'])).toEqual([1, 3])
    expect(result.summary.totals.dropped).toEqual({ picky: 1 })
    const [letter] = result.rows('dead_letters')
    expect(letter).toMatchObject({ reason: 'processing', stage: 'picky', message: 'thirteen', _offset: 2 })
    expect(letter?.['stack']).toContain('RangeError: thirteen')
  })

  it('of map whose result does not fit the schema make a dead letter that names the field', async () => {
    const program = withSteps((rows) =>
      rows.map('scaled', Reading, (row) => {
        if (row.value === 0) return null
        return { ...row, value: row.value === 2 ? ('two' as unknown as number) : 1 }
      }),
    )
    const result = await replay(program, { records: [0, 1, 2].map((value, i) => reading(i, { value })) })
    expect(result.rows('silver/readings')).toHaveLength(1)
    expect(result.summary.totals.dropped).toEqual({ scaled: 1 })
    expect(result.rows('dead_letters')).toMatchObject([{ reason: 'invalid', stage: 'scaled' }])
    expect(result.rows('dead_letters')[0]?.['message']).toContain('value')
  })
})

describe('dedupe', () => {
  const deduped = withSteps((rows) => rows.dedupe('once', { by: 'sensor', within: millis(10) }))
  const kept = async (times: readonly number[]) => {
    const result = await replay(deduped, { records: times.map((at, i) => reading(at, { value: i })) })
    return result.rows('silver/readings').map((row) => row['value'])
  }

  it('drops a row within the horizon of a kept one, before it or after it', async () => {
    expect(await kept([100, 109, 91, 110])).toEqual([0, 3])
  })

  it('measures from the newest kept row, not from a dropped one', async () => {
    expect(await kept([100, 108, 112])).toEqual([0, 2])
  })

  it('forgets by the watermark, not by when memory is freed', async () => {
    // The row at 120 moves W to 115, past 100 + 10: the late copy of 100 is not recognised, whatever the epochs.
    const records = [100, 120, 100].map((at, i) => reading(at, { value: i, sensor: i === 1 ? 'b' : 'a' }))
    for (const epochRows of [1, 2, 3]) {
      const result = await replay(deduped, { records, epochRows })
      expect(result.rows('silver/readings')).toHaveLength(3)
    }
  })
})

describe('bad input', () => {
  it('becomes a dead letter with its bytes, its position and its reason', async () => {
    const bytes = (text: string) => new TextEncoder().encode(text)
    const records = [
      { value: null, arrivalMs: 1 },
      { value: new Uint8Array(0) },
      { value: new Uint8Array([0, 0]) },
      { value: bytes('{"json": true}') },
      { value: new Uint8Array([0, 0, 0, 0, 99, 1, 2]) },
      { value: new Uint8Array([0, 0, 0, 0, 1, 2]) },
      { value: new Uint8Array([0, 255, 255, 255, 255, 2]) },
      reading(1),
    ]
    const result = await replay(asItIs, { records })
    expect(result.rows('bronze/readings')).toHaveLength(1)
    const letters = result.rows('dead_letters')
    expect(letters.map((letter) => [letter['_offset'], letter['reason']])).toEqual([
      [0, 'undecodable'],
      [1, 'undecodable'],
      [2, 'undecodable'],
      [3, 'undecodable'],
      [4, 'unknown-schema'],
      [5, 'undecodable'],
      [6, 'undecodable'],
    ])
    expect(letters.find((letter) => letter['_offset'] === 6)?.['message']).toContain(
      'schema id in the frame is below zero',
    )
    const unknown = letters.find((letter) => letter['_offset'] === 4)
    expect(unknown).toMatchObject({ _schema_id: 99, _value: '00000000630102', stage: 'decode' })
    expect(letters.find((letter) => letter['_offset'] === 0)?.['_value']).toBeNull()
  })

  it('stops the pipeline when it is most of the input, and writes nothing of that epoch', async () => {
    const program = withSteps((rows) => rows, { maxShare: 0.5, sample: 10 })
    const bad = { value: new Uint8Array([1]), arrivalMs: 1 }
    const half = Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? bad : reading(i)))
    await expect(replay(program, { records: half })).resolves.toBeDefined()
    await expect(replay(program, { records: [...half, bad, bad] })).rejects.toMatchObject({
      code: 'CIRCUIT_OPEN',
      message: expect.stringContaining('2 of the last 2 records') as string,
    })
  })
})
