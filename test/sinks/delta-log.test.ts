import { describe, expect, test } from 'vitest'
import { deltaFormat } from '../../sinks/delta/delta-format.ts'
import { readTable } from '../../sinks/delta/read-table.ts'
import { PipelineError } from '../../src/errors.ts'
import type { ObjectStore } from '../../src/ports.ts'
import {
  FIELDS,
  SHAPE,
  encoder,
  file,
  logKey,
  open,
  plainCommit,
  put,
  store,
  textOf,
  wrap,
} from './delta-kit.ts'
import { commit, field, LONG, shapeOf, STRING } from './table-kit.ts'

describe('a Delta log', () => {
  test('begins with protocol and metadata, and has one action a line', async () => {
    const log = open(shapeOf('gold/t', FIELDS, [{ kind: 'value', field: 'zone' }]))
    await log.refresh()
    const add = { ...file('zone=a%252Fb/x'), partitionValues: { zone: 'a/b' } }
    const outcome = await log.commit(0, {
      ...plainCommit({ add: [add], txn: new Map([['p/1/t0', 3]]), info: { 'millrace.run': 'r' } }),
      metadata: { configuration: { 'millrace.pipeline': 'p' } },
      operation: 'CREATE TABLE',
    })
    expect(outcome).toBe('committed')
    const lines = (await textOf(logKey(0))).trimEnd().split('\n')
    const [info, protocol, metadata, ...rest] = lines.map(
      (line) => JSON.parse(line) as Record<string, object>,
    )
    expect(info).toEqual({
      commitInfo: {
        timestamp: 1_000,
        operation: 'CREATE TABLE',
        operationParameters: { 'millrace.run': 'r' },
        isBlindAppend: true,
        engineInfo: 'Millrace',
      },
    })
    expect(protocol).toEqual({ protocol: { minReaderVersion: 1, minWriterVersion: 2 } })
    expect(metadata!['metaData']).toEqual({
      id: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}$/) as string,
      format: { provider: 'parquet', options: {} },
      schemaString: JSON.stringify({
        type: 'struct',
        fields: [
          { name: 'id', type: 'integer', nullable: false, metadata: {} },
          { name: 'zone', type: 'string', nullable: true, metadata: {} },
        ],
      }),
      partitionColumns: ['zone'],
      configuration: { 'delta.logRetentionDuration': 'interval 7 days', 'millrace.pipeline': 'p' },
      createdTime: 1_000,
    })
    expect(rest).toEqual([
      { txn: { appId: 'p/1/t0', version: 3 } },
      {
        add: {
          path: 'zone=a%252Fb/x.parquet',
          partitionValues: { zone: 'a/b' },
          size: 10,
          modificationTime: 5,
          dataChange: true,
          stats: '{"numRecords":1}',
          tags: { epoch: 'zone=a%252Fb/x' },
        },
      },
    ])
  })

  test('of writers that race for a version one wins, and the others go on from what it wrote', async () => {
    const logs = Array.from({ length: 5 }, () => open())
    await Promise.all(
      logs.map(async (log, writer) => {
        for (let index = 0; index < 5; index++) {
          for (;;) {
            const { version } = await log.refresh()
            const add = [file(`w${writer}-${index}`)]
            if (
              (await log.commit(version + 1, plainCommit({ add, txn: new Map([[`w${writer}`, index]]) }))) ===
              'committed'
            )
              break
          }
        }
      }),
    )
    const state = await open().read()
    expect(state.version).toBe(24)
    expect(state.files.size).toBe(25)
    expect(Object.fromEntries(state.txn)).toEqual({ w0: 4, w1: 4, w2: 4, w3: 4, w4: 4 })
  })

  test('a removed file is gone and remembered as removed', async () => {
    const log = open()
    await commit(log, [file('a'), file('b', 7)])
    await commit(log, [file('c')], { remove: [file('b', 7)], committedMs: 77 })
    expect([...(await log.read()).files.keys()]).toEqual(['a.parquet', 'c.parquet'])
    expect(await textOf(logKey(1))).toContain(
      '{"remove":{"path":"b.parquet","deletionTimestamp":77,"dataChange":true,"extendedFileMetadata":true,"partitionValues":{},"size":10}}',
    )
  })

  test('reads only what is new', async () => {
    const reads: string[] = []
    const counting: ObjectStore = {
      ...wrap(store),
      get: (key) => {
        reads.push(key.slice(-8))
        return store.get(key)
      },
    }
    const reader = deltaFormat(counting, encoder).open(SHAPE)
    const writer = open()
    await commit(writer, [file('a')])
    await reader.refresh()
    await commit(writer, [file('b')])
    await commit(writer, [file('c')])
    reads.length = 0
    expect((await reader.read()).files.size).toBe(3)
    expect(reads).toEqual(['001.json', '002.json'])
    await reader.refresh()
    expect(reads).toHaveLength(2)
  })

  test('a put whose answer is lost is found by the next refresh', async () => {
    const lossy: ObjectStore = {
      ...wrap(store),
      putIfAbsent: async (key, body) => {
        await store.putIfAbsent(key, body)
        throw new PipelineError('STORE_AMBIGUOUS', 'no answer', { retryable: true })
      },
    }
    const log = deltaFormat(lossy, encoder).open(SHAPE)
    await log.refresh()
    const add = [file('a')]
    await expect(log.commit(0, plainCommit({ add, txn: new Map([['t', 1]]) }))).rejects.toThrow('no answer')
    const state = await log.read()
    expect(state.version).toBe(0)
    expect(state.txn.get('t')).toBe(1)
  })

  test('table properties that others have set stay', async () => {
    const log = open()
    await commit(log, [file('a')])
    const text = await textOf(logKey(0))
    await put(
      logKey(1),
      text
        .split('\n')
        .find((line) => line.includes('metaData'))!
        .replace('"configuration":{', '"configuration":{"delta.x":"1",'),
    )
    await log.refresh()
    await log.commit(2, plainCommit({ metadata: { configuration: { 'millrace.pipeline': 'other' } } }))
    expect((await open().refresh()).configuration).toMatchObject({
      'delta.x': '1',
      'millrace.pipeline': 'other',
    })
    await log.commit(3, plainCommit({ metadata: { configuration: { 'millrace.pipeline': 'other' } } }))
    expect(await textOf(logKey(3))).not.toContain('metaData')
  })

  test('readTable says what readers see, and null where there is no table', async () => {
    expect(await readTable(store, 'gold/t')).toBeNull()
    const shape = shapeOf(
      'gold/t',
      [
        field('e', { kind: 'enum', symbols: ['A'] }),
        field('at', { kind: 'timestamp', unit: 'millis', local: false }, true),
        field('l', { kind: 'list', element: field('x', { kind: 'time', unit: 'millis' }, true) }),
      ],
      [{ kind: 'day', field: 'at', name: 'at_day' }],
    )
    await commit(open(shape), [file('a')])
    expect(await readTable(store, 'gold/t')).toMatchObject({
      version: 0,
      partitionColumns: ['at_day'],
      fields: [
        field('e', STRING),
        field('at', { kind: 'timestamp', unit: 'micros', local: false }, true),
        field('l', { kind: 'list', element: field('element', LONG, true) }),
        field('at_day', STRING, true),
      ],
    })
  })
})
