import { basename } from 'node:path'
import { makeRecording } from '../../consumers/recording/make-recording.ts'
import { EXIT, type ExitCode, usageError } from './failure.ts'
import { byteText, counted } from './format.ts'
import type { Terminal } from './terminal.ts'

export interface MakeOptions {
  readonly out: string
  readonly jsonl: string
  readonly schema: string
  readonly topic: string
  /** Null: the number that the schema's file name starts with. */
  readonly schemaId: number | null
  readonly arrivalField: string | null
  readonly timestampField: string | null
  readonly keyField: string | null
  /** Null: the key's. */
  readonly partitionField: string | null
  readonly partitions: number
}

/** `millrace recording make`: JSON lines and an Avro schema become a recording. */
export async function recordingMake(options: MakeOptions, { out }: Terminal): Promise<ExitCode> {
  const { arrivalField, timestampField, keyField, partitions } = options
  if (arrivalField === null && timestampField === null) {
    throw usageError(
      'no field says when a record arrived',
      'Name one with --arrival <field>, or the time of the event with --timestamp <field>.',
    )
  }
  const partitionField = options.partitionField ?? keyField
  if (partitions > 1 && partitionField === null) {
    throw usageError(
      `nothing says which of the ${partitions} partitions a record belongs to`,
      'Name a field with --partition-by <field> or --key <field>.',
    )
  }
  const summary = await makeRecording({
    input: options.jsonl,
    schemaPath: options.schema,
    schemaId: options.schemaId ?? idInName(options.schema),
    out: options.out,
    topic: options.topic,
    partitions,
    ...(partitionField === null ? {} : { partitionBy: { field: partitionField } }),
    ...(arrivalField === null ? {} : { arrivalField }),
    ...(timestampField === null ? {} : { timestampField }),
    ...(keyField === null ? {} : { keyField }),
  })
  const { records, bytes } = summary
  await out.line(
    `${options.out}: ${counted(records, 'record')} in ${counted(summary.partitions.length, 'partition')}, ${byteText(bytes)}`,
  )
  return EXIT.done
}

function idInName(path: string): number {
  const digits = /^\d+/.exec(basename(path))?.[0]
  if (digits !== undefined) return Number(digits)
  throw usageError(
    `the name of ${path} does not start with a schema id`,
    'Name it like the schemas of a registry folder (1-trip.avsc), or give --id <n>.',
  )
}
