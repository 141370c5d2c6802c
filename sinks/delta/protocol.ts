import { PipelineError } from '../../src/errors.ts'
import type { Metadata, Protocol } from './actions.ts'
import type { DeltaField } from './schema-json.ts'
import { hasLocalTimestamp } from './schema-json.ts'

const PLAIN: Protocol = { minReaderVersion: 1, minWriterVersion: 2 }
/** Version 7 names each feature, so the two that version 2 implies are listed as well. */
const WITH_LOCAL_TIMESTAMPS: Protocol = {
  minReaderVersion: 3,
  minWriterVersion: 7,
  readerFeatures: ['timestampNtz'],
  writerFeatures: ['appendOnly', 'invariants', 'timestampNtz'],
}

const READABLE_FEATURES = new Set(['timestampNtz', 'vacuumProtocolCheck'])
const WRITABLE_FEATURES = new Set(['appendOnly', 'invariants', 'timestampNtz', 'vacuumProtocolCheck'])

/** The lowest protocol, so the most readers, that a table with these columns needs. */
export function protocolFor(fields: readonly DeltaField[]): Protocol {
  return fields.some((field) => hasLocalTimestamp(field.type)) ? WITH_LOCAL_TIMESTAMPS : PLAIN
}

/** `current` where it is enough for what `needed` allows, else one that allows what both do. */
export function raisedProtocol(current: Protocol, needed: Protocol): Protocol {
  if (needed.minReaderVersion <= current.minReaderVersion && current.minReaderVersion < 3) return current
  const has = new Set(current.readerFeatures)
  const missing = (needed.readerFeatures ?? []).filter((feature) => !has.has(feature))
  if (missing.length === 0) return current
  return {
    minReaderVersion: 3,
    minWriterVersion: 7,
    readerFeatures: union(current.readerFeatures, needed.readerFeatures),
    writerFeatures: union(current.writerFeatures, needed.writerFeatures),
  }
}

function union(
  a: readonly string[] | null | undefined,
  b: readonly string[] | null | undefined,
): readonly string[] {
  return [...new Set([...(a ?? []), ...(b ?? [])])]
}

/** Throws TABLE_UNSUPPORTED where reading the table without knowing a feature would give wrong rows. */
export function checkReadable(table: string, protocol: Protocol, metadata: Metadata): void {
  const unknown = (protocol.readerFeatures ?? []).filter((feature) => !READABLE_FEATURES.has(feature))
  if (unknown.length > 0) throw unsupported(table, `uses ${unknown.join(', ')}`)
  if (protocol.minReaderVersion > 3)
    throw unsupported(table, `needs reader version ${protocol.minReaderVersion}`)
  const mapping = metadata.configuration?.['delta.columnMapping.mode'] ?? 'none'
  if (mapping !== 'none') throw unsupported(table, 'uses columnMapping')
  if (metadata.format.provider !== 'parquet')
    throw unsupported(table, `has files of ${metadata.format.provider}`)
}

/** Throws TABLE_UNSUPPORTED where a commit would break a rule of the table. */
export function checkWritable(
  table: string,
  protocol: Protocol,
  metadata: Metadata,
  removesFiles: boolean,
): void {
  const { minWriterVersion, writerFeatures } = protocol
  const unknown = (writerFeatures ?? []).filter((feature) => !WRITABLE_FEATURES.has(feature))
  if (unknown.length > 0) throw unsupported(table, `uses ${unknown.join(', ')}`)
  if (minWriterVersion > 2 && minWriterVersion !== 7)
    throw unsupported(table, `needs writer version ${minWriterVersion}`)
  if (metadata.schemaString.includes('delta.invariants')) throw unsupported(table, 'has column invariants')
  if (removesFiles && metadata.configuration?.['delta.appendOnly'] === 'true') {
    throw new PipelineError(
      'TABLE_UNSUPPORTED',
      `Table ${table} has delta.appendOnly set, and files are to be removed.`,
      {
        advice: 'Unset the table property, or write to a table of another name.',
      },
    )
  }
}

function unsupported(table: string, what: string): PipelineError {
  return new PipelineError('TABLE_UNSUPPORTED', `Table ${table} ${what}, which Millrace does not know.`, {
    advice: 'Another program has turned that on. Turn it off there, or write to a table of another name.',
  })
}
