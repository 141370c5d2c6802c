/**
 * A backlog: one hour of event time on 8 partitions, out of order by up to 20 s with 30 s allowed, read at full speed from a recording in which the partitions lie in long
 * runs, so that some are read minutes of event time ahead of others. Nothing may be late, and every event must be in a window.
 *
 *   npm run bench:backlog              8 × 250,000 events
 *   npm run bench:backlog -- 50000     8 × 50,000
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { readTable } from '../sinks/delta/read-table.ts'
import { directory } from '../sinks/directory.ts'
import { replayProcess } from './replay-process.ts'
import { TripRecording } from './trip-recording.ts'
import { tripBatches } from './trips.ts'

const PARTITIONS = 8
const HOUR_MS = 3_600_000
const perPartition = Number(process.argv[2] ?? 250_000)
const records = PARTITIONS * perPartition
/** Of one partition in the recording, before the next one follows: six minutes of event time. */
const RUN_RECORDS = Math.ceil(perPartition / 10)

const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
const recording = join(folder, 'trips.avro')
const lake = join(folder, 'lake')

const paid = makeRecording()
const { seconds, cpuSeconds, megabytes } = await replayProcess('taxi.ts', [
  '--recording',
  recording,
  '--lake',
  lake,
])
const counted = await sumOf('gold/zone_minutes', 'trips')
const letters = await sumOf('dead_letters', '1')
console.log(
  `${records.toLocaleString('en')} events, ${PARTITIONS} partitions, one hour of event time: ${Math.round(records / cpuSeconds).toLocaleString('en')} events per CPU-second, ${seconds.toFixed(1)} s, ${megabytes} MB at most`,
)
console.log(
  `${letters} dead letters; ${counted.toLocaleString('en')} of ${paid.toLocaleString('en')} events in windows`,
)
if (letters !== 0 || counted !== paid) process.exitCode = 1

/** Returns how many of the events have a fare. */
function makeRecording(): number {
  const trips = new TripRecording(recording)
  let withFare = 0
  for (let made = 0; made < perPartition; made += RUN_RECORDS) {
    const count = Math.min(RUN_RECORDS, perPartition - made)
    const spanMs = (count / perPartition) * HOUR_MS
    const startMs = (made / perPartition) * HOUR_MS
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const seed = made * PARTITIONS + partition
      for (const batch of tripBatches({ records: count, spanMs, startMs, seed })) {
        withFare += batch.paid
        trips.append(batch, () => partition)
      }
    }
  }
  trips.close()
  return withFare
}

async function sumOf(table: string, expression: string): Promise<number> {
  const files = [...((await readTable(directory(lake).store, table))?.files.keys() ?? [])]
  if (files.length === 0) return 0
  const connection = await (await DuckDBInstance.create(':memory:')).connect()
  const paths = files.map((path) => `'${join(lake, table, decodeURIComponent(path))}'`).join(', ')
  const result = await connection.runAndReadAll(
    `select sum(${expression})::bigint from read_parquet([${paths}])`,
  )
  return Number(result.getRows()[0]![0])
}
