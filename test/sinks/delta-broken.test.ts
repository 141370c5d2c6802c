import { beforeEach, describe, expect, test } from 'vitest'
import { failure, file, logKey, open, plainCommit, put, store, textOf } from './delta-kit.ts'
import { commit } from './table-kit.ts'

function metaData(configuration: object, provider = 'parquet'): object {
  const schemaString = '{"type":"struct","fields":[]}'
  const format = { provider, options: {} }
  return { metaData: { id: 'x', format, schemaString, partitionColumns: [], configuration } }
}

function protocol(
  minReaderVersion: number,
  minWriterVersion: number,
  readerFeatures?: string[],
  writerFeatures?: string[],
): object {
  return { protocol: { minReaderVersion, minWriterVersion, readerFeatures, writerFeatures } }
}

async function writeFirst(actions: readonly object[]): Promise<void> {
  await put(logKey(0), actions.map((action) => JSON.stringify(action)).join('\n'))
}

describe('a broken log', () => {
  beforeEach(async () => {
    const log = open()
    for (const name of ['a', 'b', 'c', 'd']) await commit(log, [file(name)])
  })

  test('with a version missing is an error that names it', async () => {
    const reader = open()
    await store.delete(logKey(2))
    await expect(reader.refresh()).rejects.toThrow(
      failure('TABLE_LOG_BROKEN', /version 2 is missing, though version 3/),
    )
  })

  test('whose first versions are missing, too', async () => {
    await store.delete(logKey(0))
    await expect(open().refresh()).rejects.toThrow(failure('TABLE_LOG_BROKEN', /version 0 is missing/))
  })

  test('that is not JSON, or lacks its metadata, is an error', async () => {
    await put(logKey(0), '{"commitInfo":{}}')
    await expect(open().refresh()).rejects.toThrow(failure('TABLE_LOG_BROKEN', /no protocol or no metadata/))
    await put(logKey(1), '{"add":')
    await expect(open().refresh()).rejects.toThrow(failure('TABLE_LOG_BROKEN', /version 1 cannot be parsed/))
  })

  test('that was deleted behind our back is not begun again at version 4', async () => {
    const log = open()
    await log.refresh()
    for (const { key } of await store.list('gold/t/')) await store.delete(key)
    await expect(log.refresh()).rejects.toThrow(
      failure('TABLE_LOG_BROKEN', /version 3, which was there before, is gone/),
    )
  })
})

describe('a table of another program', () => {
  test.each([
    [
      'deletion vectors',
      [protocol(3, 7, ['deletionVectors'], ['deletionVectors']), metaData({})],
      /deletionVectors/,
    ],
    ['column mapping', [protocol(2, 5), metaData({ 'delta.columnMapping.mode': 'name' })], /columnMapping/],
    ['a newer reader', [protocol(4, 7), metaData({})], /reader version 4/],
    ['other files', [protocol(1, 2), metaData({}, 'orc')], /files of orc/],
    [
      'a deletion vector',
      [
        protocol(1, 2),
        metaData({}),
        {
          add: {
            path: 'a',
            partitionValues: {},
            size: 1,
            modificationTime: 1,
            dataChange: true,
            deletionVector: {},
          },
        },
      ],
      /deletion vectors/,
    ],
  ])('with %s is not read', async (_, actions, message) => {
    await writeFirst(actions)
    await expect(open().refresh()).rejects.toThrow(failure('TABLE_UNSUPPORTED', message))
  })

  test.each([
    ['constraints', [protocol(1, 3), metaData({})], /writer version 3/],
    ['row tracking', [protocol(1, 7, undefined, ['rowTracking']), metaData({})], /rowTracking/],
  ])('with %s is read but not written', async (_, actions, message) => {
    await writeFirst(actions)
    const log = open()
    await log.refresh()
    await expect(log.commit(1, plainCommit())).rejects.toThrow(failure('TABLE_UNSUPPORTED', message))
  })

  test('that is append-only keeps its files', async () => {
    await commit(open(), [file('a')])
    const line = (await textOf(logKey(0))).split('\n').find((text) => text.includes('metaData'))!
    await put(logKey(1), line.replace('"configuration":{', '"configuration":{"delta.appendOnly":"true",'))
    const log = open()
    await log.refresh()
    await expect(log.commit(2, plainCommit({ remove: [file('a')] }))).rejects.toThrow(
      failure('TABLE_UNSUPPORTED', /appendOnly/),
    )
    expect(await log.commit(2, plainCommit({ add: [file('b')] }))).toBe('committed')
  })
})
