import { randomBytes } from 'node:crypto'
import { copyFileSync, mkdtempSync, rmSync, statSync, truncateSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  boundedOutOfOrderness,
  bronze,
  gold,
  minutes,
  pipeline,
  seconds,
  silver,
  stream,
  tumbling,
} from 'millrace'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { frameEncoder } from '../../consumers/recording/make-recording.ts'
import { createRecordingWriter } from '../../consumers/recording/recording-writer.ts'
import { recordingSource } from '../../consumers/recording/source.ts'
import { deltaFormat } from '../../sinks/delta/delta-format.ts'
import type { ObjectStore } from '../../src/ports.ts'
import { runPipeline } from '../../src/runtime/run-pipeline.ts'
import { systemClock, systemEntropy } from '../../src/runtime/system.ts'
import { memoryStore } from '../../src/testing/memory-store.ts'
import { rowEncoder } from '../../src/testing/row-encoder.ts'
import { Reading } from '../support/reading.ts'
import { rowsIn, SILENT } from '../support/world.ts'

const schema = JSON.stringify(Reading.avro)
const encoder = frameEncoder(schema, 'readings', 1)
const START_MS = Date.parse('2026-03-01T00:00:00Z')

const readings = stream('readings', Reading, {
  eventTime: 'at',
  watermark: boundedOutOfOrderness(seconds(1)),
})
const once = readings.dedupe('once', { by: 'sensor', within: minutes(10) })
const counts = once
  .keyBy('sensor')
  .window(tumbling(seconds(10)), { allowedLateness: seconds(0) })
  .aggregate('counts', ({ count }) => ({ rows: count() }))
const program = pipeline({
  name: 'meters',
  tables: [bronze('readings', readings), silver('once', once), gold('counts', counts)],
})

/** 'partition second sensor': shard 0 is split into 1 and 2, which are merged into 4; 3 has no record. */
const RECORDS = [
  '0 0 a',
  '0 5 b',
  '0 60 c',
  '1 61 a', // Known to shard 0.
  '2 62 d',
  '2 20 e', // Late for who knows how far shard 0 was.
  '1 64 f',
  '4 70 c', // Known to shard 0, two generations ago.
  '4 71 g',
] as const

describe('a recording of a stream that was resharded', () => {
  let folder: string
  let path: string

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'millrace-resharded-'))
    path = join(folder, 'readings.avro')
    // Each record in a block of its own, so that the file can be cut between any two.
    const writer = createRecordingWriter(path, { blockBytes: 1 })
    writer.follow('readings', 1, [0])
    writer.follow('readings', 2, [0])
    writer.follow('readings', 3, [1])
    writer.follow('readings', 4, [3, 2])
    for (const [offset, text] of RECORDS.entries()) {
      const [partition, second, sensor] = text.split(' ')
      const arrivalMs = START_MS + 100_000 + offset * 1_000
      const value = encoder.encode({ at: START_MS + Number(second) * 1_000, sensor: sensor!, value: 1 })
      const place = { topic: 'readings', partition: Number(partition), offset }
      // By its beginning one recording is told from another: the first block is larger than that.
      const key = offset === 0 ? randomBytes(70_000) : null
      writer.append({ ...place, timestampMs: arrivalMs, arrivalMs, key, value, headers: [] })
    }
    writer.close()
  })

  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  const replay = (lake: ObjectStore, options: { readonly path?: string; readonly untilMs?: number } = {}) =>
    runPipeline(program, {
      source: recordingSource({ path, ...options }),
      registry: { description: 'one', schemaById: async () => schema },
      lake,
      format: deltaFormat(lake, rowEncoder),
      clock: systemClock,
      entropy: systemEntropy,
      log: SILENT,
      flush: { rowsMax: 2, bytesMax: 1e9, everyMs: null, batchRecordsMax: 1 },
      fresh: false,
      signal: null,
      onProgress: null,
    })

  const sensorsIn = async (lake: ObjectStore, table: string): Promise<readonly unknown[]> =>
    (await rowsIn(lake, table)).map(({ sensor }) => String(sensor)).toSorted()

  const expectAll = async (lake: ObjectStore): Promise<void> => {
    expect(await rowsIn(lake, 'bronze/readings')).toHaveLength(RECORDS.length)
    expect(await sensorsIn(lake, 'silver/once')).toEqual(['a', 'b', 'c', 'd', 'e', 'f', 'g'])
    expect(await sensorsIn(lake, 'gold/counts')).toEqual(['a', 'b', 'c', 'd', 'f', 'g'])
  }

  it('gives what the stream gave: children know what their parents knew', async () => {
    const lake = memoryStore()
    expect(await replay(lake)).toMatchObject({ outcome: 'completed' })
    await expectAll(lake)
    expect(await replay(lake)).toMatchObject({ outcome: 'nothing-to-do' })
  })

  it.each([2, 4, 6, 8])('may be stopped after %i records, and gone on with', async (count) => {
    const lake = memoryStore()
    const untilMs = START_MS + 100_000 + count * 1_000
    await replay(lake, { untilMs })
    expect(await rowsIn(lake, 'bronze/readings')).toHaveLength(count)
    await replay(lake)
    await expectAll(lake)
  })

  it('may be cut in the middle, and mended', async () => {
    const cut = join(folder, 'cut.avro')
    copyFileSync(path, cut)
    truncateSync(cut, statSync(cut).size - 100)
    const lake = memoryStore()
    await expect(replay(lake, { path: cut })).rejects.toMatchObject({ code: 'RECORDING_CUT' })
    await replay(lake)
    await expectAll(lake)
  })
})
