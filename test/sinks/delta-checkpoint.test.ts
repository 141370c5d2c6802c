import { describe, expect, test } from 'vitest'
import { deltaFormat } from '../../sinks/delta/delta-format.ts'
import { PipelineError } from '../../src/errors.ts'
import type { Log, ObjectStore, TableState } from '../../src/ports.ts'
import {
  DAY_MS,
  SHAPE,
  comparable,
  encoder,
  failure,
  file,
  history,
  logKey,
  open,
  put,
  store,
  textOf,
  wrap,
} from './delta-kit.ts'
import { commit } from './table-kit.ts'

function silent(): void {}

describe('log checkpoints', () => {
  test('give the state that the commits give', async () => {
    await history(25)
    const fromCheckpoint = await open().read()
    for (const object of await store.list('gold/t/_delta_log/')) {
      if (!object.key.endsWith('.json')) await store.delete(object.key)
    }
    const fromCommits = await open().read()
    expect(comparable(fromCheckpoint)).toEqual(comparable(fromCommits))
    expect(fromCommits.version).toBe(24)
  })

  test('are enough without the commits before them', async () => {
    await history(25)
    const before = comparable(await open().read())
    for (let version = 0; version < 20; version++) await store.delete(logKey(version))
    expect(comparable(await open().read())).toEqual(before)
    await store.delete('gold/t/_delta_log/_last_checkpoint')
    expect(comparable(await open().read())).toEqual(before)
    await put('gold/t/_delta_log/_last_checkpoint', 'not JSON')
    expect(comparable(await open().read())).toEqual(before)
  })

  test('say where they are', async () => {
    await history(21)
    const last = JSON.parse(await textOf('gold/t/_delta_log/_last_checkpoint')) as Record<string, number>
    const state = await open().read()
    expect(last).toMatchObject({ version: 20, numOfAddFiles: state.files.size })
    const [object] = await store.list('gold/t/_delta_log/00000000000000000020.checkpoint.parquet')
    expect(object!.size).toBe(last['sizeInBytes'])
  })

  test('forget removed files after a week', async () => {
    await history(21)
    const keys = (await store.list('gold/t/_delta_log/'))
      .map(({ key }) => key)
      .filter((key) => key.endsWith('20.json'))
    expect(keys).toHaveLength(1)
    for (let version = 0; version < 20; version++) await store.delete(logKey(version))
    const state = (await open().read()) as TableState & {
      tombstones: ReadonlyMap<string, { deletionTimestamp: number }>
    }
    const ages = [...state.tombstones.values()].map(
      (remove) => 20 - (remove.deletionTimestamp - 1_700_000_000_000) / DAY_MS,
    )
    expect(new Set(ages)).toEqual(new Set([5, 1]))
  })

  test('that are damaged do no harm while the commits are there', async () => {
    await history(12)
    const before = comparable(await open().read())
    await put('gold/t/_delta_log/00000000000000000010.checkpoint.parquet', 'damaged')
    expect(comparable(await open().read())).toEqual(before)
    await store.delete(logKey(3))
    await expect(open().refresh()).rejects.toThrow(
      failure('TABLE_LOG_BROKEN', /checkpoint of version 10 cannot be read|version 3 is missing/),
    )
  })

  test('that cannot be written are a warning, not a failure', async () => {
    const warnings: unknown[] = []
    const log: Log = {
      debug: silent,
      info: silent,
      warn: (fields) => void warnings.push(fields),
      error: silent,
      child: () => log,
    }
    const full: ObjectStore = {
      ...wrap(store),
      put: () => Promise.reject(new PipelineError('STORE_FULL', 'no space')),
    }
    const table = deltaFormat(full, encoder, { checkpointEvery: 1, log }).open(SHAPE)
    await commit(table, [file('a')])
    expect(await commit(table, [file('b')])).toBe(1)
    expect(warnings).toEqual([{ table: 'gold/t', version: 1, error: 'no space' }])
  })

  test('bring a reader that is far behind up to date', async () => {
    const reader = open()
    await history(1)
    await reader.refresh()
    await history(48)
    for (let version = 0; version < 40; version++) await store.delete(logKey(version))
    expect(comparable(await reader.read())).toEqual(comparable(await open().read()))
  })
})
