import type { AvroSchema } from 'millrace'
import { confluentRegistry } from 'millrace/consumers/registry'
import { createProducer, type Producer, type Sent } from 'millrace/producer'
import { describe, expectTypeOf, test } from 'vitest'
import { Trip } from '../../schemas/trip.ts'
import { EveryType } from '../codegen/golden/every-type.ts'

/**
 * What compiles and what must not: `npx tsc -p test` is the judge. Nothing here is ever called.
 */
const registry = confluentRegistry({ url: 'http://localhost:8081' })
const options = { brokers: ['localhost:9092'], topic: 'trips', registry }

declare const trips: Producer<Trip>
declare const everything: Producer<EveryType>
declare const trip: Trip
declare const every: EveryType

describe('a producer', () => {
  test('has the rows of its schema', () => {
    expectTypeOf(() => createProducer({ ...options, schema: Trip })).returns.resolves.toEqualTypeOf<
      Producer<Trip>
    >()
    expectTypeOf(() => trips.send(trip)).returns.resolves.toEqualTypeOf<Sent>()
    expectTypeOf(() => trips.send([trip])).returns.resolves.toEqualTypeOf<readonly Sent[]>()
  })

  test('may be of a schema that only the run knows: then any value compiles, and is checked when it is sent', () => {
    const unknown: AvroSchema = { avro: Trip.avro }
    expectTypeOf(() => createProducer({ ...options, schema: unknown })).returns.resolves.toEqualTypeOf<
      Producer<unknown>
    >()
  })
})

export const RIGHT = [
  () =>
    createProducer({ ...options, schema: Trip, key: (row) => row.vendor, timestamp: (row) => row.pickupAt }),
  () => createProducer({ ...options, schema: EveryType, key: (row) => row.someBytes }),
  () =>
    createProducer({
      ...options,
      schema: Trip,
      tls: true,
      sasl: { mechanism: 'plain', username: 'u', password: 'p' },
    }),
  () => trips.send(trip, { key: null, headers: { trace: 'x', none: null } }),
  () => trips.send([trip, trip], { headers: [{ key: 'a', value: null }] }),
  () => trips.sendTombstone('key'),
]

export const WRONG = [
  // @ts-expect-error a field is missing
  () => trips.send({ tripId: 'a' }),
  // @ts-expect-error a fare is a number
  () => trips.send({ ...trip, fare: '1' }),
  // @ts-expect-error no such field
  () => trips.send({ ...trip, fair: 1 }),
  // @ts-expect-error not a symbol of the enum
  () => trips.send({ ...trip, paymentType: 'gold' }),
  // @ts-expect-error a long is a bigint
  () => everything.send({ ...every, aLong: 5 }),
  // @ts-expect-error a time is a number of milliseconds
  () => trips.send({ ...trip, pickupAt: new Date() }),
  // @ts-expect-error rows of another schema
  () => trips.send(every),
  // @ts-expect-error a key is text or bytes
  () => createProducer({ ...options, schema: Trip, key: (row) => row.fare }),
  // @ts-expect-error no such field
  () => createProducer({ ...options, schema: Trip, key: (row) => row.vendors }),
  // @ts-expect-error a topic is needed
  () => createProducer({ brokers: ['a:1'], registry, schema: Trip }),
  // @ts-expect-error no such compression
  () => createProducer({ ...options, schema: Trip, compression: 'snappy' }),
  // @ts-expect-error a tombstone needs a key
  () => trips.sendTombstone(),
]
