import { compileAppender } from '../../src/columns/append.ts'
import { createBatch } from '../../src/columns/column.ts'
import { assert } from '../../src/errors.ts'
import type { ObjectStore, TableEncoder, TableShape } from '../../src/ports.ts'
import { CHECKPOINT_FIELDS } from './checkpoint-schema.ts'
import { writeCheckpointHint } from './checkpoint-hint.ts'
import { type CheckpointFiles, checkpointKey } from './log-keys.ts'
import { addAction } from './snapshot.ts'
import type { Snapshot } from './snapshot.ts'
import { tombstoneRetentionMs } from './table-properties.ts'

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
): Promise<CheckpointFiles> {
  const rows = checkpointRows(snapshot, nowMs)
  const batch = createBatch(CHECKPOINT_FIELDS)
  for (const row of rows) {
    const why = appendRow(row, batch.columns)
    assert(why === null, `a row does not fit into the checkpoint: ${why}`)
  }
  batch.length = rows.length
  const files = encoder.encode(SHAPE, batch, null, rows.length)
  const { version } = snapshot
  const keys = files.map((_, index) => checkpointKey(table, version, index + 1, files.length))
  for (const [index, file] of files.entries()) await store.put(keys[index]!, file.body)
  await writeCheckpointHint(store, table, {
    version,
    size: rows.length,
    parts: files.length,
    sizeInBytes: files.reduce((bytes, file) => bytes + file.body.length, 0),
    numOfAddFiles: snapshot.files.size,
  })
  return { version, keys }
}

function checkpointRows(snapshot: Snapshot, nowMs: number): readonly object[] {
  const rows: object[] = [{ protocol: snapshot.protocol }, { metaData: metadataRow(snapshot) }]
  const forgottenMs = nowMs - tombstoneRetentionMs(snapshot.configuration)
  for (const [appId, version] of snapshot.txn) rows.push({ txn: { appId, version } })
  for (const file of snapshot.files.values()) rows.push({ add: addAction(file, false) })
  for (const tombstone of snapshot.tombstones.values()) {
    if ((tombstone.deletionTimestamp ?? 0) < forgottenMs) continue
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
