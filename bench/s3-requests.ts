/**
 * How many requests to S3 does a run make, an epoch? A recording is replayed into a real S3 server with large epochs and with small
 * ones; the difference is what an epoch costs, without what a start and an end cost. 4 partitions, bronze, silver and gold.
 *
 *   npm run bench:s3
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { run } from 'millrace'
import { recording } from 'millrace/consumers/recording'
import { s3 } from 'millrace/sinks/s3'
import { createRecordingWriter } from '../consumers/recording/recording-writer.ts'
import type { ObjectStore } from '../src/ports.ts'
import { createLog } from '../src/runtime/log.ts'
import { freshBucket, startS3 } from '../test/parts/s3.ts'
import taxi from './taxi.ts'
import { TRIP_SCHEMA_ID, tripBatches, tripSchema } from './trips.ts'

const RECORDS = 200_000
const PARTITIONS = 4
const log = createLog({ level: 'error', pretty: false })
const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
const path = join(folder, 'trips.avro')
const registry = join(folder, 'registry')
mkdirSync(registry)
writeFileSync(join(registry, `${TRIP_SCHEMA_ID}-trip.avsc`), JSON.stringify(tripSchema))
makeRecording()
const server = await startS3()

interface Counts {
  epochs: number
  readonly requests: Map<string, number>
  readonly calls: Map<string, number>
}

function makeRecording(): void {
  const writer = createRecordingWriter(path)
  let offset = 0
  for (const batch of tripBatches({ records: RECORDS, spanMs: 46 * 60_000 })) {
    for (let i = 0; i < batch.count; i++) {
      writer.append({
        topic: 'trips',
        partition: offset % PARTITIONS,
        offset: Math.floor(offset++ / PARTITIONS),
        timestampMs: batch.timestampsMs[i]!,
        arrivalMs: batch.arrivalsMs[i]!,
        key: null,
        value: batch.arena.subarray(batch.valueStart[i], batch.valueEnd[i]),
        headers: [],
      })
    }
  }
  writer.close()
}

function add(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1)
}

async function replay(maxRows: number): Promise<Counts> {
  const counts: Counts = { epochs: 0, requests: new Map(), calls: new Map() }
  const { endpoint, region, accessKeyId, secretAccessKey } = server
  const lake = s3({
    bucket: await freshBucket(server),
    endpoint,
    region,
    credentials: { accessKeyId, secretAccessKey },
    onRequest: (kind) => add(counts.requests, kind),
  })
  watchCalls(lake.store, (call, key) => add(counts.calls, `${call} ${classOf(key)}`))
  const summary = await run(taxi, {
    source: recording({ path, registry }),
    lake,
    flush: { maxRows },
    log,
  })
  counts.epochs = summary.epochs
  await lake.store.close?.()
  return counts
}

/** In place, because the tables' logs hold the store. */
function watchCalls(store: ObjectStore, onCall: (call: string, key: string) => void): void {
  for (const name of ['putIfAbsent', 'put', 'get', 'list', 'delete'] as const) {
    const original = store[name].bind(store) as (key: string, ...rest: unknown[]) => unknown
    Object.assign(store, {
      [name]: (key: string, ...rest: unknown[]) => {
        onCall(name, key)
        return original(key, ...rest)
      },
    })
  }
}

function classOf(key: string): string {
  if (key.includes('_last_checkpoint')) return 'log hint'
  if (key.includes('.checkpoint')) return 'log checkpoint'
  if (key.includes('_delta_log')) return 'table log'
  if (!key.startsWith('_millrace/')) return 'data file'
  return /\d{8,}\.json$/.test(key) ? 'chain record' : key.endsWith('/') ? 'chain' : 'staged state, partials'
}

try {
  const large = await replay(40_000)
  const small = await replay(4_000)
  const epochs = small.epochs - large.epochs
  console.log(
    `${large.epochs} epochs and ${small.epochs} epochs; for each epoch, of partition and merge task alike:`,
  )
  for (const [title, of] of [
    ['requests', (counts: Counts) => counts.requests],
    ['calls', (counts: Counts) => counts.calls],
  ] as const) {
    console.log(`\n${title.padEnd(40)} first   second   an epoch`)
    for (const name of new Set([...of(large).keys(), ...of(small).keys()])) {
      const [first, second] = [of(large).get(name) ?? 0, of(small).get(name) ?? 0]
      const each = ((second - first) / epochs).toFixed(2)
      console.log(
        `  ${name.padEnd(36)} ${String(first).padStart(7)} ${String(second).padStart(8)} ${each.padStart(10)}`,
      )
    }
  }
} finally {
  await server.dispose()
}
