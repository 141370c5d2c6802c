/**
 * The same job as a Node programmer would write it without Millrace: avsc makes an object of each message, parquetjs-lite writes bronze and
 * silver, a Map holds the windows. Nothing is checked, nothing is exactly-once. It stands beside ours in `npm run bench`, for the ratio.
 */
import { Writable } from 'node:stream'
import avro from 'avsc'
import parquet from 'parquetjs-lite'
import type { RecordBatch } from '../src/ports.ts'
import { tripSchema } from './trips.ts'

interface Trip {
  readonly pickupAt: number
  readonly fare: number
  readonly total: number
  readonly distance: number
  readonly zone: number
  readonly pickup: object
}

const column = (type: string, optional = false) => ({ type, compression: 'SNAPPY', optional })
const FIELDS = {
  tripId: column('UTF8'),
  vendor: column('UTF8'),
  pickupAt: column('INT64'),
  dropoffAt: column('INT64'),
  distance: column('DOUBLE'),
  fare: column('DOUBLE'),
  tip: column('DOUBLE'),
  tolls: column('DOUBLE'),
  total: column('DOUBLE'),
  passengerCount: column('INT32'),
  zone: column('INT32'),
  promo: column('UTF8', true),
  surcharge: column('DOUBLE', true),
  paymentType: column('UTF8'),
  stored: column('BOOLEAN'),
  pickup: { fields: { lat: column('DOUBLE'), lon: column('DOUBLE') } },
}

/** Returns the CPU-seconds that it took. */
export async function runBaseline(batches: readonly RecordBatch[]): Promise<number> {
  const type = avro.Type.forSchema(tripSchema as avro.Schema)
  const before = process.cpuUsage()
  const bronze = await parquet.ParquetWriter.openStream(new parquet.ParquetSchema(FIELDS), nowhere())
  const silver = await parquet.ParquetWriter.openStream(new parquet.ParquetSchema(FIELDS), nowhere())
  const windows = new Map<string, { trips: number; revenue: number; longest: number }>()
  for (const batch of batches) {
    const arena = Buffer.from(batch.arena.buffer, batch.arena.byteOffset, batch.arena.length)
    for (let i = 0; i < batch.count; i++) {
      const trip = type.fromBuffer(arena.subarray(batch.valueStart[i]! + 5, batch.valueEnd[i])) as Trip
      await bronze.appendRow({ ...trip })
      if (trip.fare <= 0) continue
      await silver.appendRow({ ...trip })
      const key = `${trip.zone}/${Math.floor(trip.pickupAt / 60_000)}`
      const pane = windows.get(key)
      if (pane === undefined) windows.set(key, { trips: 1, revenue: trip.total, longest: trip.distance })
      else {
        pane.trips++
        pane.revenue += trip.total
        pane.longest = Math.max(pane.longest, trip.distance)
      }
    }
  }
  await bronze.close()
  await silver.close()
  const cpu = process.cpuUsage(before)
  return (cpu.user + cpu.system) / 1e6
}

function nowhere(): Writable {
  return new Writable({ write: (_chunk, _encoding, done) => done() })
}
