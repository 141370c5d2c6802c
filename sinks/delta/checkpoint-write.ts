import { compileAppender } from '../../src/columns/append.ts'
import { createBatch } from '../../src/columns/column.ts'
import { assert } from '../../src/errors.ts'
import type { ObjectStore, TableEncoder, TableShape } from '../../src/ports.ts'
import { CHECKPOINT_FIELDS } from './checkpoint-schema.ts'
import { checkpointKey, lastCheckpointKey } from './log-keys.ts'
import { addAction } from './snapshot.ts'
import type { Snapshot } from './snapshot.ts'

/** How long a removed file is remembered, for VACUUM: Delta's default of `delta.deletedFileRetentionDuration`. */
const TOMBSTONE_RETENTION_MS = 7 * 24 * 3_600_000

const SHAPE: TableShape = {
  path: '_delta_log',
  fields: CHECKPOINT_FIELDS,
  partitionBy: [],
  options: { compression: 'snappy', rowGroupRows: 250_000, fileRowsMax: 250_000, dictionary: [] },
}

const appendRow = compileAppender(CHECKPOINT_FIELDS)

/**
 * Writes the state of a table as a log checkpoint, and tells readers where it is. Any number of writers may do so at
 * once: for one version they write the same. Tombstones older than the retention are left out.
 */
export async function writeCheckpoint(
  store: ObjectStore,
  encoder: TableEncoder,
  table: string,
  snapshot: Snapshot,
  nowMs: number,
): Promise<void> {
  const rows = checkpointRows(snapshot, nowMs)
  const batch = createBatch(CHECKPOINT_FIELDS)
  for (const row of rows) {
    const why = appendRow(row, batch.columns)
    assert(why === null, `a row does not fit into the checkpoint: ${why}`)
  }
  batch.length = rows.length
  const files = encoder.encode(SHAPE, batch, null, rows.length)
  for (const [index, file] of files.entries()) {
    await store.put(checkpointKey(table, snapshot.version, index + 1, files.length), file.body)
  }
  const last = {
    version: snapshot.version,
    size: rows.length,
    ...(files.length > 1 ? { parts: files.length } : {}),
    sizeInBytes: files.reduce((bytes, file) => bytes + file.body.length, 0),
    numOfAddFiles: snapshot.files.size,
  }
  await store.put(lastCheckpointKey(table), new TextEncoder().encode(JSON.stringify(last)))
}

function checkpointRows(snapshot: Snapshot, nowMs: number): readonly object[] {
  const rows: object[] = [{ protocol: snapshot.protocol }, { metaData: metadataRow(snapshot) }]
  for (const [appId, version] of snapshot.txn) rows.push({ txn: { appId, version } })
  for (const file of snapshot.files.values()) rows.push({ add: addAction(file, false) })
  for (const tombstone of snapshot.tombstones.values()) {
    if ((tombstone.deletionTimestamp ?? 0) < nowMs - TOMBSTONE_RETENTION_MS) continue
    const { path, deletionTimestamp, extendedFileMetadata, partitionValues, size } = tombstone
    rows.push({
      remove: { path, deletionTimestamp, dataChange: false, extendedFileMetadata, partitionValues, size },
    })
  }
  return rows
}

function metadataRow({ metadata }: Snapshot): object {
  assert(metadata !== null, 'a table has metadata')
  const { id, name, description, format, schemaString, partitionColumns, configuration, createdTime } =
    metadata
  return {
    id,
    name,
    description,
    format: { provider: format.provider, options: format.options ?? {} },
    schemaString,
    partitionColumns,
    configuration: configuration ?? {},
    createdTime,
  }
}
