import { readFileSync } from 'node:fs'
import avro from 'avsc'
import { compileDecoder } from '../src/avro/decoder.ts'
import { fieldsOf } from '../src/avro/fields.ts'
import { parseAvroSchema } from '../src/avro/schema-model.ts'
import { createBatch, truncateBatch } from '../src/columns/column.ts'

/**
 * Question: what does a row cost from wire bytes in an arena to columns, for the 16-field trip of PERFORMANCE.md?
 * `npx node bench/decode.ts`; the median of the rounds is the figure, the first ones are the JIT's.
 */

const ROWS = 100_000
const ROUNDS = 25
const FRAME = 5

const json: unknown = JSON.parse(readFileSync(new URL('./trip.avsc', import.meta.url), 'utf8'))
const type = avro.Type.forSchema(json as avro.Schema, { wrapUnions: false })

let seed = 42
/** An integer in [0, below), from a linear congruential generator: every run decodes the same bytes. */
function random(below: number): number {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
  return Math.floor((seed / 4294967296) * below)
}

const hex = () => random(0x1_0000_0000).toString(16).padStart(8, '0')

function trip(index: number): unknown {
  const pickupAt = 1_700_000_000_000 + index * 37 - random(20_000)
  const [fare, tip, tolls] = [random(9000) / 100, random(1500) / 100, random(700) / 100]
  return {
    tripId: `${hex()}-${hex().slice(4)}-${hex().slice(4)}-${hex().slice(4)}-${hex()}${hex().slice(4)}`,
    vendor: ['acme', 'bolt-cabs', 'citywide', 'downtown'][random(4)],
    pickupAt,
    dropoffAt: pickupAt + random(3_600_000),
    distance: random(3000) / 100,
    fare,
    tip,
    tolls,
    total: fare + tip + tolls,
    passengerCount: 1 + random(6),
    zone: 1 + random(265),
    promo: random(5) === 0 ? `PROMO${random(100)}` : null,
    surcharge: random(3) === 0 ? random(500) / 100 : null,
    paymentType: ['CREDIT_CARD', 'CASH', 'NO_CHARGE', 'DISPUTE', 'UNKNOWN', 'VOIDED'][random(6)],
    stored: random(20) === 0,
    pickup: { lat: 40.5 + random(4000) / 10_000, lon: -74.2 + random(5000) / 10_000 },
  }
}

const messages = Array.from({ length: ROWS }, (_, index) => type.toBuffer(trip(index)))
const bytes = messages.reduce((sum, message) => sum + FRAME + message.length, 0)
const arena = new Uint8Array(bytes)
const starts = new Int32Array(ROWS)
const ends = new Int32Array(ROWS)
let at = 0
for (const [index, message] of messages.entries()) {
  starts[index] = at
  arena.set(message, at + FRAME)
  at += FRAME + message.length
  ends[index] = at
}

const schema = parseAvroSchema(json)
const decoder = compileDecoder(schema, schema)
const batch = createBatch(fieldsOf(schema))

const costs: number[] = []
for (let round = 0; round < ROUNDS; round++) {
  truncateBatch(batch, 0)
  const startMs = performance.now()
  const done = decoder.decode(arena, starts, ends, FRAME, 0, ROWS, batch.columns)
  costs.push(((performance.now() - startMs) * 1e6) / ROWS)
  if (done !== ROWS) throw new Error(`record ${done}: ${decoder.failure}`)
}
costs.sort((left, right) => left - right)
console.log(
  `decode trip: ${costs[ROUNDS >> 1]!.toFixed(1)} ns a row (best ${costs[0]!.toFixed(1)}, worst ${costs.at(-1)!.toFixed(1)}), ` +
    `${(bytes / ROWS).toFixed(0)} bytes a message, ${ROWS} rows x ${ROUNDS} rounds`,
)
