import { readFileSync } from 'node:fs'
import avro from 'avsc'
import type { RecordBatch } from '../src/ports.ts'

/** Trips as a broker would give them: Confluent-framed Avro in arenas, out of order by up to 20 seconds. */
export const TRIP_SCHEMA_ID = 7
export const tripSchema = JSON.parse(
  readFileSync(new URL('../schemas/trip.avsc', import.meta.url), 'utf8'),
) as object

const BATCH_RECORDS = 8_192
const START_MS = Date.UTC(2026, 0, 1)

export interface TripOptions {
  readonly records: number
  /** Of all records, spread evenly. 1 million in 230 minutes make 61,000 panes of zone × minute. */
  readonly spanMs: number
  /** After the first of January 2026. Default: 0. */
  readonly startMs?: number
  /** Default: 42. */
  readonly seed?: number
}

export interface TripBatch extends RecordBatch {
  /** Those with a fare. */
  readonly paid: number
}

/** Random but the same each time. */
export function tripBatches({ records, spanMs, startMs = 0, seed = 42 }: TripOptions): readonly TripBatch[] {
  const random = mulberry32(seed)
  const type = avro.Type.forSchema(tripSchema as avro.Schema)
  const batches: TripBatch[] = []
  for (let first = 0; first < records; first += BATCH_RECORDS) {
    const count = Math.min(BATCH_RECORDS, records - first)
    const trips = Array.from({ length: count }, (_, i) =>
      tripOf(first + i, START_MS + startMs + Math.floor(((first + i) / records) * spanMs), random),
    )
    const values = trips.map((trip) => type.toBuffer(trip))
    batches.push({ ...batchOf(values, first), paid: trips.filter(({ fare }) => fare > 0).length })
  }
  return batches
}

const VENDORS = ['CMT', 'VTS', 'DDS', 'JUNO']
const PAYMENTS = ['card', 'cash', 'no_charge', 'dispute', 'unknown', 'voided']

function tripOf(index: number, nowMs: number, random: () => number) {
  const pickupAt = nowMs - Math.floor(random() * 20_000)
  const fare = random() < 0.03 ? 0 : Math.round(random() * 6_000) / 100
  const tip = Math.round(random() * 1_000) / 100
  const tolls = random() < 0.9 ? 0 : 6.94
  return {
    tripId: `${index.toString(36).padStart(8, '0')}-${Math.floor(random() * 0xffffffff).toString(16)}`,
    vendor: VENDORS[Math.floor(random() * 4)],
    pickupAt,
    dropoffAt: pickupAt + Math.floor(random() * 3_600_000),
    distance: Math.round(random() * 2_000) / 100,
    fare,
    tip,
    tolls,
    total: fare + tip + tolls,
    passengerCount: 1 + Math.floor(random() * 6),
    zone: 1 + Math.floor(random() * 265),
    promo: random() < 0.9 ? null : `PROMO${Math.floor(random() * 50)}`,
    surcharge: random() < 0.5 ? null : 2.5,
    paymentType: PAYMENTS[Math.floor(random() * 6)],
    stored: random() < 0.01,
    pickup: { lat: 40.5 + random() * 0.5, lon: -74.2 + random() * 0.5 },
  }
}

function batchOf(values: readonly Buffer[], firstOffset: number): RecordBatch {
  const bytes = values.reduce((sum, value) => sum + value.length + 5, 0)
  const arena = new Uint8Array(bytes)
  const count = values.length
  const valueStart = new Int32Array(count)
  const valueEnd = new Int32Array(count)
  let at = 0
  values.forEach((value, i) => {
    valueStart[i] = at
    arena[at + 4] = TRIP_SCHEMA_ID
    arena.set(value, at + 5)
    at += value.length + 5
    valueEnd[i] = at
  })
  const offsets = Float64Array.from({ length: count }, (_, i) => firstOffset + i)
  const times = Float64Array.from({ length: count }, () => START_MS + 30 * 86_400_000)
  return {
    count,
    arena,
    keyStart: new Int32Array(count),
    keyEnd: new Int32Array(count).fill(-1),
    valueStart,
    valueEnd,
    offsets,
    timestampsMs: times,
    arrivalsMs: times,
    headers: null,
    positionAfter: (index) => String(firstOffset + index + 1),
  }
}

/** A small generator of random numbers in [0, 1) (public domain, Tommy Ettinger). */
function mulberry32(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}
