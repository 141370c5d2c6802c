import { inflateSync } from 'node:zlib'
import { GLUE_FRAME_BYTES, isGlueBodyCompressed } from '../../src/columns/glue-frame.ts'
import { messageOf } from '../../src/errors.ts'
import type { SchemaRegistry } from '../../src/ports.ts'
import { type AvroCodec, avroCodec } from './avsc.ts'
import { RecordingFile } from './container.ts'
import { toJson } from './json-value.ts'
import type { RawRecord } from './raw-record.ts'
import { framedSchema } from './recording-summary.ts'
import { visitRecords } from './scan.ts'
import { type Shape, shapeOf } from './value-shape.ts'

/** A record for people. All of it can be printed as JSON. */
export interface ShownRecord {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly timestampMs: number
  readonly arrivalMs: number
  /** Text, or '0x…' where the bytes are not UTF-8. */
  readonly key: string | null
  readonly valueBytes: number | null
  /** The id of a Confluent frame. */
  readonly schemaId: number | null
  /** The UUID of a frame of the AWS Glue Schema Registry. */
  readonly schemaVersion: string | null
  /** The value as JSON where the registry has its schema and it can be decoded; else its first bytes as '0x…'. */
  readonly value: unknown
  /** Why the value could not be decoded. */
  readonly problem: string | null
  readonly headers: readonly { readonly key: string; readonly value: string | null }[]
}

/** The first `count` records of the file. Throws what reading the file throws. */
export async function recordingHead(
  path: string,
  count: number,
  registry: SchemaRegistry | null = null,
): Promise<readonly ShownRecord[]> {
  const records: RawRecord[] = []
  const file = await RecordingFile.open(path)
  try {
    if (count > 0) {
      await visitRecords(file, (record) => records.push(record.record()) < count)
    }
  } finally {
    await file.close()
  }
  const decoders = new Map<number | string, Decoder>()
  const shown: ShownRecord[] = []
  for (const record of records) {
    const schema = framedSchema(record.value)
    if (registry !== null && schema !== null && !decoders.has(schema)) {
      decoders.set(schema, await decoderOf(registry, schema))
    }
    shown.push(show(record, schema, schema === null ? undefined : decoders.get(schema)))
  }
  return shown
}

/** How to decode the values of one schema, or why not. */
type Decoder = { readonly codec: AvroCodec; readonly shape: Shape } | { readonly problem: string }

async function decoderOf(registry: SchemaRegistry, schema: number | string): Promise<Decoder> {
  const name = nameOf(schema)
  const schemaJson =
    typeof schema === 'number'
      ? await registry.schemaById(schema)
      : ((await registry.schemaByUuid?.(schema)) ?? null)
  if (schemaJson === null) return { problem: `${registry.description} has no ${name}` }
  return { codec: avroCodec(schemaJson, name), shape: shapeOf(schemaJson, name) }
}

function nameOf(schema: number | string): string {
  return typeof schema === 'number' ? `schema ${schema}` : `schema version ${schema}`
}

function show(record: RawRecord, schema: number | string | null, decoder: Decoder | undefined): ShownRecord {
  const { topic, partition, offset, timestampMs, arrivalMs } = record
  return {
    topic,
    partition,
    offset,
    timestampMs,
    arrivalMs,
    key: record.key === null ? null : textOf(record.key),
    valueBytes: record.value === null ? null : record.value.length,
    schemaId: typeof schema === 'number' ? schema : null,
    schemaVersion: typeof schema === 'string' ? schema : null,
    ...showValue(record.value, schema, decoder),
    headers: record.headers.map(({ key, value }) => ({ key, value: value === null ? null : textOf(value) })),
  }
}

const SHOWN_BYTES_MAX = 64

function showValue(
  bytes: Uint8Array | null,
  schema: number | string | null,
  decoder: Decoder | undefined,
): { value: unknown; problem: string | null } {
  if (bytes === null) return { value: null, problem: null }
  const value = hexOf(bytes.subarray(0, SHOWN_BYTES_MAX)) + (bytes.length > SHOWN_BYTES_MAX ? '…' : '')
  if (schema === null) return { value, problem: 'not in the frame of a schema registry' }
  if (decoder === undefined) return { value, problem: 'no registry' }
  if ('problem' in decoder) return { value, problem: decoder.problem }
  try {
    return { value: toJson(decoder.shape, decoder.codec.decode(bodyOf(bytes, schema))), problem: null }
  } catch (error) {
    return { value, problem: `${nameOf(schema)} cannot decode it: ${messageOf(error)}` }
  }
}

const CONFLUENT_FRAME_BYTES = 5
/** What a replay takes apart as well. */
const BODY_BYTES_MAX = 64 * 1024 * 1024

function bodyOf(bytes: Uint8Array, schema: number | string): Uint8Array {
  if (typeof schema === 'number') return bytes.subarray(CONFLUENT_FRAME_BYTES)
  const body = bytes.subarray(GLUE_FRAME_BYTES)
  return isGlueBodyCompressed(bytes, 0) ? inflateSync(body, { maxOutputLength: BODY_BYTES_MAX }) : body
}

function textOf(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return hexOf(bytes)
  }
}

function hexOf(bytes: Uint8Array): string {
  return `0x${Buffer.from(bytes).toString('hex')}`
}
