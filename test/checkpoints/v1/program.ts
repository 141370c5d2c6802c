import {
  atLeast,
  avroSchema,
  boundedOutOfOrderness,
  bronze,
  gold,
  millis,
  pipeline,
  silver,
  stream,
  tumbling,
} from '../../../src/index.ts'
import type { TestRecord } from '../../../src/testing/rows-source.ts'

/**
 * What wrote the chain beside this file. Never to be changed: a later version must recognise the program by its fingerprint and go on.
 * It has no callbacks, whose text another tool might write otherwise.
 */
const Frame = avroSchema({
  type: 'record',
  name: 'Frame',
  fields: [
    { name: 'id', type: 'string' },
    { name: 'at', type: { type: 'long', logicalType: 'timestamp-millis' } },
    { name: 'device', type: ['null', 'long'] },
    { name: 'kind', type: { type: 'enum', name: 'Kind', symbols: ['JOIN', 'DATA', 'ACK'] } },
    { name: 'payload', type: 'bytes' },
    { name: 'price', type: { type: 'bytes', logicalType: 'decimal', precision: 20, scale: 2 } },
    { name: 'level', type: ['null', 'double'] },
    { name: 'size', type: 'int' },
    { name: 'urgent', type: ['null', 'boolean'] },
    { name: 'day', type: { type: 'int', logicalType: 'date' } },
  ],
})

const frames = stream('frames', Frame, {
  eventTime: 'at',
  watermark: boundedOutOfOrderness(millis(20), { idleAfter: millis(100_000) }),
})
const sane = frames.expect('sane', { size: atLeast(0) })
const once = sane
  .dedupe('once', { by: ['id', 'device'], within: millis(60) })
  .dedupe('once_by_size', { by: ['size', 'kind', 'urgent', 'day', 'at'], within: millis(5) })
const perDevice = once
  .keyBy('device', 'kind')
  .window(tumbling(millis(50)), { allowedLateness: millis(10) })
  .aggregate('per_device', ({ count, sum, min, max, avg }) => ({
    rows: count(),
    levels: count('level'),
    cost: sum('price'),
    dearest: max('price'),
    level: sum('level'),
    lowest: min('level'),
    highest: max('level'),
    mean: avg('level'),
    bytes: sum('size'),
    devices: max('device'),
    first: min('id'),
    last: max('payload'),
    newest: max('at'),
  }))
const perDay = sane
  .keyBy('day', 'urgent', 'id')
  .window(tumbling(millis(1_000)), { allowedLateness: millis(0), late: 'side-table' })
  .aggregate('per_day', ({ count }) => ({ rows: count() }))

export const program = pipeline({
  name: 'golden',
  tables: [
    bronze('frames', frames),
    silver('once', once),
    gold('per_device', perDevice),
    gold('per_day', perDay),
    silver('too_late', perDay.late),
  ],
  circuitBreaker: { maxShare: 0.5, sample: 50 },
})

const DEVICES = [null, 0n, -1n, 2n ** 53n + 1n, 2n ** 63n - 1n, -(2n ** 63n)]
const LEVELS = [null, 0.1, -0, 1e300, 1e-300, -12.5, 3]

function row(i: number): object {
  return {
    id: `f${(i * 7) % 90}`,
    at: 1_000_000 + i * 5 - ((i * 13) % 11) * 3 - (i % 37 === 36 ? 1_500 : 0),
    device: DEVICES[(i * 5) % 6]!,
    kind: ['JOIN', 'DATA', 'ACK'][i % 3]!,
    payload: String.fromCharCode(i % 7, 255 - (i % 5)),
    price: `${((i * 7919) % 100_000) - 30_000}.${10 + (i % 90)}`,
    level: LEVELS[i % 7]!,
    size: i % 23 === 22 ? -1 : i % 9,
    urgent: [null, true, false][i % 3]!,
    day: (i % 5) - 2,
  }
}

/** In three partitions; some break a rule, some are late, some are no messages at all. */
export const records: readonly TestRecord[] = Array.from({ length: 300 }, (_, i) => ({
  ...(i % 41 === 40 ? { value: new Uint8Array([0, 0, 0, 0, 1, i]) } : { row: row(i) }),
  key: `k${i}`,
  partition: i % 3,
  arrivalMs: 1_000_000 + i * 5,
}))
