/**
 * Memory of `millrace replay`: a recording of trips (4 partitions) through bronze, silver and windows into a lake on disk, and the highest
 * resident size of that process, as the kernel tells it.
 *
 *   npm run bench:memory             5 million records
 *   npm run bench:memory -- 1000000
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { replayProcess } from './replay-process.ts'
import { TripRecording } from './trip-recording.ts'
import { tripBatches } from './trips.ts'

const records = Number(process.argv[2] ?? 5_000_000)
const PARTITIONS = 4
const PART_RECORDS = 250_000
const SPAN_MS_PER_MILLION = 230 * 60_000

const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
const recordingPath = join(folder, 'trips.avro')
makeRecording()

const peak = await replayProcess('taxi.ts', [
  '--recording',
  recordingPath,
  '--lake',
  join(folder, 'lake'),
  ...process.argv.slice(3),
])
console.log(
  `${records.toLocaleString('en')} records: ${peak.seconds.toFixed(1)} s, ${peak.megabytes} MB at most`,
)

function makeRecording(): void {
  const trips = new TripRecording(recordingPath)
  const spanMs = (SPAN_MS_PER_MILLION * PART_RECORDS) / 1_000_000
  for (let made = 0; made < records; made += PART_RECORDS) {
    const count = Math.min(PART_RECORDS, records - made)
    const startMs = (made / PART_RECORDS) * spanMs
    for (const batch of tripBatches({ records: count, spanMs, startMs }))
      trips.append(batch, (index) => index % PARTITIONS)
  }
  trips.close()
}
