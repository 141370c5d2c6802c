/**
 * Memory of `millrace replay`: a recording of trips (4 partitions) through bronze, silver and windows into a lake on disk, and the highest
 * resident size of that process, as the kernel tells it.
 *
 *   npm run bench:memory             5 million records
 *   npm run bench:memory -- 1000000
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createRecordingWriter } from '../consumers/recording/recording-writer.ts'
import { replayProcess } from './replay-process.ts'
import { TRIP_SCHEMA_ID, tripBatches, tripSchema } from './trips.ts'

const records = Number(process.argv[2] ?? 5_000_000)
const PARTITIONS = 4
const PART_RECORDS = 250_000
const SPAN_MS_PER_MILLION = 230 * 60_000

const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
const recordingPath = join(folder, 'trips.avro')
mkdirSync(join(folder, 'registry'))
writeFileSync(join(folder, 'registry', `${TRIP_SCHEMA_ID}-trip.avsc`), JSON.stringify(tripSchema))
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
  const writer = createRecordingWriter(recordingPath)
  const offsets = new Array<number>(PARTITIONS).fill(0)
  const span = (SPAN_MS_PER_MILLION * PART_RECORDS) / 1_000_000
  for (let made = 0; made < records; made += PART_RECORDS) {
    const count = Math.min(PART_RECORDS, records - made)
    for (const batch of tripBatches({
      records: count,
      spanMs: span,
      startMs: (made / PART_RECORDS) * span,
    })) {
      for (let i = 0; i < batch.count; i++) {
        const partition = i % PARTITIONS
        writer.append({
          topic: 'trips',
          partition,
          offset: offsets[partition]!++,
          timestampMs: batch.timestampsMs[i]!,
          arrivalMs: batch.arrivalsMs[i]!,
          key: null,
          value: batch.arena.subarray(batch.valueStart[i], batch.valueEnd[i]),
          headers: [],
        })
      }
    }
  }
  writer.close()
}
