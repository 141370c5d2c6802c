/**
 * Memory of `millrace replay`: a recording of trips (4 partitions) through bronze, silver and windows into a lake on disk, and the highest
 * resident size of that process, as the kernel tells it.
 *
 *   npm run bench:memory             5 million records
 *   npm run bench:memory -- 1000000
 */
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createRecordingWriter } from '../consumers/recording/recording-writer.ts'
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

const peak = await replay()
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

function replay(): Promise<{ readonly seconds: number; readonly megabytes: number }> {
  const bin = fileURLToPath(new URL('../bin/millrace.js', import.meta.url))
  if (!existsSync(new URL('../dist', import.meta.url))) throw new Error('run `npm run build` first')
  const program = fileURLToPath(new URL('taxi.ts', import.meta.url))
  const args = [
    bin,
    'replay',
    program,
    '--recording',
    recordingPath,
    '--lake',
    join(folder, 'lake'),
    '--log-level',
    'error',
    ...process.argv.slice(3),
  ]
  const started = performance.now()
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit'] })
  let peakKb = 0
  const timer = setInterval(() => {
    try {
      const status = readFileSync(`/proc/${child.pid}/status`, 'utf8')
      peakKb = Math.max(peakKb, Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0))
    } catch {
      // The process has ended between two looks.
    }
  }, 100)
  return new Promise((resolve, reject) => {
    child.on('close', (code) => {
      clearInterval(timer)
      if (code !== 0) reject(new Error(`the replay ended with ${code}`))
      else resolve({ seconds: (performance.now() - started) / 1000, megabytes: Math.round(peakKb / 1024) })
    })
  })
}
