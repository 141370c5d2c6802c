import { readFile } from 'node:fs/promises'
import { messageOf, PipelineError } from '../../src/errors.ts'
import { type AvroCodec, avroCodec } from './avsc.ts'
import type { Codec } from './codec.ts'
import { readJsonLines } from './json-lines.ts'
import { MisfitError, parseJsonLine, toAvro } from './json-value.ts'
import { partitionOfKey } from '../../src/kafka/murmur2.ts'
import type { RecordingSummary } from './recording-summary.ts'
import { createRecordingWriter, type RecordingWriter } from './recording-writer.ts'
import { parseTimestamp } from './time-text.ts'
import { type Shape, shapeOf } from './value-shape.ts'

/** Fields are named by their path in the JSON line: 'deviceId', 'payload.deviceId'. */
export interface MakeRecordingOptions {
  /** JSON lines, gzipped where the name ends in .gz. */
  readonly input: string
  /** The writer's schema, an .avsc file. */
  readonly schemaPath: string
  readonly schemaId: number
  readonly out: string
  readonly topic: string
  /** A field whose text is hashed as Kafka hashes a key, or one partition for all. Default: partition 0. */
  readonly partitionBy?: { readonly field: string } | { readonly fixed: number }
  /** How many there are to hash into. Default 1. */
  readonly partitions?: number
  /** Milliseconds since 1970 or ISO 8601; in micros where the schema says so. One of the two stands in for the other. */
  readonly timestampField?: string
  readonly arrivalField?: string
  /** Its text is the record's key. Default: no key. */
  readonly keyField?: string
  readonly codec?: Codec
}

/**
 * Turns JSON lines into a recording, in their order. The same input makes the same bytes.
 * Throws INPUT_INVALID with line and field, INPUT_UNREADABLE, SCHEMA_INVALID, OPTION_INVALID, RECORDING_UNWRITABLE; the
 * recording is then not there.
 */
export async function makeRecording(options: MakeRecordingOptions): Promise<RecordingSummary> {
  checkOptions(options)
  const encoder = await readEncoder(options.schemaPath, options.schemaId)
  const writer = createRecordingWriter(
    options.out,
    options.codec === undefined ? {} : { codec: options.codec },
  )
  try {
    const nextOffset: number[] = []
    for await (const line of readJsonLines(options.input)) {
      try {
        appendLine(writer, options, encoder, line.text, nextOffset)
      } catch (error) {
        throw inputError(options.input, line.number, error)
      }
    }
    return writer.close()
  } catch (error) {
    writer.abort()
    throw error
  }
}

/** JSON → Confluent-framed Avro. */
export interface FrameEncoder {
  readonly shape: Shape
  /** Throws MisfitError. */
  encode(json: unknown): Uint8Array
}

export function frameEncoder(schemaJson: string, schemaName: string, schemaId: number): FrameEncoder {
  const codec: AvroCodec = avroCodec(schemaJson, schemaName)
  const shape = shapeOf(schemaJson, schemaName)
  return {
    shape,
    encode(json) {
      const body = codec.encode(toAvro(shape, json))
      const framed = new Uint8Array(5 + body.length)
      new DataView(framed.buffer).setInt32(1, schemaId)
      framed.set(body, 5)
      return framed
    },
  }
}

function checkOptions(options: MakeRecordingOptions): void {
  const { partitions = 1, partitionBy, schemaId, timestampField, arrivalField } = options
  const problem =
    !Number.isInteger(partitions) || partitions < 1
      ? `the number of partitions is ${partitions}`
      : !Number.isInteger(schemaId) || schemaId < 0 || schemaId > 0x7fff_ffff
        ? `the schema id is ${schemaId}`
        : partitionBy !== undefined &&
            'fixed' in partitionBy &&
            (!Number.isInteger(partitionBy.fixed) || partitionBy.fixed < 0)
          ? `the partition is ${partitionBy.fixed}`
          : timestampField === undefined && arrivalField === undefined
            ? 'no field is named that says when a record arrived'
            : null
  if (problem === null) return
  throw new PipelineError('OPTION_INVALID', `recording make: ${problem}`, {
    advice: 'Name the field of the arrival time, or of the timestamp; ids and partitions count from 0.',
  })
}

async function readEncoder(path: string, schemaId: number): Promise<FrameEncoder> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (cause) {
    throw new PipelineError('SCHEMA_INVALID', `${path}: the schema cannot be read: ${messageOf(cause)}`, {
      cause,
      advice: 'Give the path of an .avsc file.',
    })
  }
  return frameEncoder(text, path, schemaId)
}

function appendLine(
  writer: RecordingWriter,
  options: MakeRecordingOptions,
  encoder: FrameEncoder,
  text: string,
  nextOffset: number[],
): void {
  const json = parseJsonLine(text)
  const value = encoder.encode(json)
  const { timestampField, arrivalField, keyField } = options
  const arrivalMs = timeAt(json, encoder.shape, arrivalField ?? timestampField!)
  const timestampMs = timestampField === undefined ? arrivalMs : timeAt(json, encoder.shape, timestampField)
  const partition = partitionOf(json, options)
  const offset = nextOffset[partition] ?? 0
  const key = keyField === undefined ? null : textAt(json, keyField)
  writer.append({ topic: options.topic, partition, offset, timestampMs, arrivalMs, key, value, headers: [] })
  nextOffset[partition] = offset + 1
}

function partitionOf(json: unknown, { partitionBy, partitions = 1 }: MakeRecordingOptions): number {
  if (partitionBy === undefined) return 0
  if ('fixed' in partitionBy) return partitionBy.fixed
  const text = textAt(json, partitionBy.field)
  return text === null ? 0 : partitionOfKey(text, partitions)
}

/** Null where the field is null or absent. */
function textAt(json: unknown, path: string): Uint8Array | null {
  const value = valueAt(json, path)
  if (value === undefined || value === null) return null
  const text =
    typeof value === 'string' ? value : typeof value === 'bigint' ? String(value) : JSON.stringify(value)
  return new TextEncoder().encode(text)
}

function timeAt(json: unknown, shape: Shape, path: string): number {
  const value = valueAt(json, path)
  const micros = isMicros(shape, path)
  const parsed = typeof value === 'string' ? parseTimestamp('timestamp-micros', value) : value
  const inMicros = micros || typeof parsed === 'bigint'
  const ms = inMicros ? Math.floor(Number(parsed) / 1000) : Number(parsed)
  if (
    (typeof parsed === 'number' || typeof parsed === 'bigint') &&
    Number.isInteger(ms) &&
    Math.abs(ms) <= 8.64e15
  ) {
    return ms
  }
  const shown = value === undefined ? 'missing' : JSON.stringify(value)
  throw new MisfitError(path, `must be a time (milliseconds since 1970 or ISO 8601), but is ${shown}`)
}

function isMicros(shape: Shape, path: string): boolean {
  let found: Shape | undefined = shape
  for (const name of path.split('.')) {
    if (found?.kind !== 'record') return false
    found = found.fields.find((field) => field.name === name)?.shape
    if (found?.kind === 'union') found = found.branches.find((branch) => branch.shape.kind !== 'null')?.shape
  }
  return found?.kind === 'long' && (found.logical?.endsWith('-micros') ?? false)
}

function valueAt(json: unknown, path: string): unknown {
  let value = json
  for (const name of path.split('.')) {
    if (typeof value !== 'object' || value === null) return undefined
    value = (value as Record<string, unknown>)[name]
  }
  return value
}

function inputError(path: string, line: number, error: unknown): unknown {
  if (error instanceof SyntaxError) {
    return new PipelineError('INPUT_INVALID', `${path}:${line}: not JSON: ${error.message}`, {
      advice: 'Give JSON lines: one JSON object a line.',
    })
  }
  if (!(error instanceof MisfitError)) return error
  const field = error.path === '' ? 'the value' : `field ${error.path}`
  return new PipelineError('INPUT_INVALID', `${path}:${line}: ${field} ${error.message}`, {
    advice: 'Correct the line, or the schema. Nothing was written.',
  })
}
