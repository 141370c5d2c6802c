import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { createRecordingWriter } from '../consumers/recording/recording-writer.ts'
import type { RecordBatch } from '../src/ports.ts'
import { TRIP_SCHEMA_ID, tripSchema } from './trips.ts'

/** A recording of trips, with the schema beside it as `millrace replay` looks for it. */
export class TripRecording {
  readonly #writer: ReturnType<typeof createRecordingWriter>
  readonly #offsets = new Map<number, number>()

  constructor(path: string) {
    const registry = join(dirname(path), 'registry')
    mkdirSync(registry)
    writeFileSync(join(registry, `${TRIP_SCHEMA_ID}-trip.avsc`), JSON.stringify(tripSchema))
    this.#writer = createRecordingWriter(path)
  }

  append(batch: RecordBatch, partitionOf: (index: number) => number): void {
    for (let i = 0; i < batch.count; i++) {
      const partition = partitionOf(i)
      const offset = this.#offsets.get(partition) ?? 0
      this.#offsets.set(partition, offset + 1)
      this.#writer.append({
        topic: 'trips',
        partition,
        offset,
        timestampMs: batch.timestampsMs[i]!,
        arrivalMs: batch.arrivalsMs[i]!,
        key: null,
        value: batch.arena.subarray(batch.valueStart[i], batch.valueEnd[i]),
        headers: [],
      })
    }
  }

  close(): void {
    this.#writer.close()
  }
}
