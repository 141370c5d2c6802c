import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import avsc from 'avsc'
import { onTestFinished } from 'vitest'
import { RECORDING_SCHEMA_JSON } from '../../../consumers/recording/recording-schema.ts'
import type { RawRecord } from '../../../consumers/recording/raw-record.ts'
import {
  createRecordingWriter,
  type RecordingWriterOptions,
} from '../../../consumers/recording/recording-writer.ts'
import type { PartitionReader, ReadResult } from '../../../src/ports.ts'

export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-recording-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

export function record(partition: number, offset: number, fields: Partial<RawRecord> = {}): RawRecord {
  const arrivalMs = fields.arrivalMs ?? 1_700_000_000_000 + offset
  return {
    topic: 'trips',
    partition,
    offset,
    timestampMs: arrivalMs - 5,
    arrivalMs,
    key: null,
    value: new TextEncoder().encode(`value ${partition}/${offset}`),
    headers: [],
    ...fields,
  }
}

/** Written by our writer. */
export function recordingOf(records: readonly RawRecord[], options: RecordingWriterOptions = {}): string {
  const path = join(temporaryFolder(), 'recording.avro')
  const writer = createRecordingWriter(path, options)
  for (const one of records) writer.append(one)
  writer.close()
  return path
}

/** Written by avsc, with any schema. */
export async function avscFileOf(
  values: readonly object[],
  options: { schemaJson?: string; codec?: string; blockSize?: number } = {},
): Promise<string> {
  const path = join(temporaryFolder(), 'foreign.avro')
  const type = avsc.Type.forSchema(JSON.parse(options.schemaJson ?? RECORDING_SCHEMA_JSON))
  const encoder = new avsc.streams.BlockEncoder(type, {
    codec: options.codec ?? 'null',
    blockSize: options.blockSize ?? 65_536,
    writeHeader: 'always',
  })
  const chunks: Buffer[] = []
  const done = new Promise<void>((resolve, reject) => {
    encoder.on('data', (chunk: Buffer) => chunks.push(chunk))
    encoder.on('end', () => resolve())
    encoder.on('error', reject)
  })
  for (const value of values) encoder.write(value)
  encoder.end()
  await done
  writeFileSync(path, Buffer.concat(chunks))
  return path
}

function bufferOf(value: Uint8Array | null): Buffer | null {
  return value === null ? null : Buffer.from(value)
}

/** As the recording's schema names the fields. */
export function avscValueOf(one: RawRecord): object {
  return {
    topic: one.topic,
    partition: one.partition,
    offset: one.offset,
    timestamp: one.timestampMs,
    arrival: one.arrivalMs,
    key: bufferOf(one.key),
    value: bufferOf(one.value),
    headers: one.headers.map(({ key, value }) => ({ key, value: bufferOf(value) })),
  }
}

/** Reads until something other than records and silence comes; a copy of each record. */
export async function readAll(
  reader: PartitionReader,
  recordsMax = 1_000,
): Promise<{ records: RawRecord[]; last: ReadResult['kind'] | Error }> {
  const records: RawRecord[] = []
  for (;;) {
    let result: ReadResult
    try {
      result = await reader.read(recordsMax)
    } catch (error) {
      return { records, last: error as Error }
    }
    if (result.kind === 'records') records.push(...recordsOf(result))
    else if (result.kind !== 'quiet') return { records, last: result.kind }
  }
}

export function recordsOf({ batch }: Extract<ReadResult, { kind: 'records' }>): RawRecord[] {
  const slice = (start: number, end: number) => (end < 0 ? null : batch.arena.slice(start, end))
  return Array.from({ length: batch.count }, (_, row) => ({
    topic: 'trips',
    partition: -1,
    offset: batch.offsets[row]!,
    timestampMs: batch.timestampsMs[row]!,
    arrivalMs: batch.arrivalsMs[row]!,
    key: slice(batch.keyStart[row]!, batch.keyEnd[row]!),
    value: slice(batch.valueStart[row]!, batch.valueEnd[row]!),
    headers: batch.headers?.[row] ?? [],
  }))
}
