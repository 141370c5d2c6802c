/**
 * The program that `bench/kafka.ts` starts and measures: a topic of trips → bronze, silver and windows in S3, at the default flush. It
 * reads what is there, stops, and prints one line of JSON.
 */
import { run } from 'millrace'
import { kafka } from 'millrace/consumers/kafka'
import { type S3RequestKind, s3 } from 'millrace/sinks/s3'
import taxi from './taxi.ts'
import { TRIP_SCHEMA_ID, tripSchema } from './trips.ts'

const { BENCH_BROKERS: brokers = '', BENCH_RECORDS: wanted = '0', BENCH_BUCKET: bucket = '' } = process.env
const requests: Record<S3RequestKind, number> = { GET: 0, PUT: 0, LIST: 0, DELETE: 0, POST: 0 }
let bytesUp = 0
const stop = new AbortController()
const started = performance.now()
let readMs = 0

const summary = await run(taxi, {
  source: kafka({
    brokers: brokers.split(','),
    topic: 'trips',
    groupId: 'bench',
    // The one schema, without a server that would be measured too.
    registry: {
      description: 'the schema of a trip',
      schemaById: (id) => Promise.resolve(id === TRIP_SCHEMA_ID ? JSON.stringify(tripSchema) : null),
    },
  }),
  lake: s3({
    bucket,
    onRequest(kind, bytes) {
      requests[kind]++
      if (kind === 'PUT' || kind === 'POST') bytesUp += bytes
    },
  }),
  signal: stop.signal,
  onProgress({ records }) {
    if (records < Number(wanted) || stop.signal.aborted) return
    readMs = performance.now() - started
    stop.abort()
  },
})

const { user, system } = process.cpuUsage()
console.log(
  JSON.stringify({
    records: summary.records,
    epochs: summary.epochs,
    cpuSeconds: (user + system) / 1e6,
    wallSeconds: (performance.now() - started) / 1000,
    readSeconds: readMs / 1000,
    peakMegabytes: Math.round(process.resourceUsage().maxRSS / 1024),
    requests,
    bytesUp,
    rows: Object.fromEntries(summary.tables.map(({ path, rows }) => [path, rows])),
  }),
)
process.exit(0)
