import { describe, expect, test } from 'vitest'
import { isCheckpointDue, isCleanUpDue } from '../../sinks/delta/checkpoint-interval.ts'
import { deltaFormat } from '../../sinks/delta/delta-format.ts'
import { cleanLog } from '../../sinks/delta/log-cleanup.ts'
import { intervalMs, logRetentionMs, tombstoneRetentionMs } from '../../sinks/delta/table-properties.ts'
import type { ObjectStore } from '../../src/ports.ts'
import {
  BY_ZONE,
  comparable,
  DAY_MS,
  encoder,
  file,
  FIRST_MS,
  history,
  logKey,
  open,
  plainCommit,
  put,
  SHAPE,
  store,
  textOf,
  wrap,
} from './delta-kit.ts'
import { commit } from './table-kit.ts'

const LOG = 'gold/t/_delta_log/'
const names = async (): Promise<readonly string[]> =>
  (await store.list(LOG)).map(({ key }) => key.slice(LOG.length).replace(/^0+(?=\d)/, ''))

describe('log checkpoints', () => {
  test.each([
    { files: 1, versions: [10, 20, 30, 40] },
    { files: 399, versions: [10, 20, 30, 40] },
    { files: 400, versions: [20, 40] },
    { files: 1_600, versions: [40] },
  ])('with $files files are written at $versions', ({ files, versions }) => {
    const due = Array.from({ length: 45 }, (_, version) => version).filter((version) =>
      isCheckpointDue(version, files, 10),
    )
    expect(due).toEqual(versions)
  })

  test('are followed by a clean-up once in a thousand commits, whatever their interval', () => {
    for (const files of [0, 30_000, 3_000_000]) {
      const due = Array.from({ length: 10_000 }, (_, version) => version).filter(
        (version) => isCheckpointDue(version, files, 10) && isCleanUpDue(version, files, 10),
      )
      const thousands = due.map((version) => Math.floor(version / 1_000))
      expect(new Set(thousands).size).toBe(due.length)
      expect(due.length).toBeGreaterThan(files < 1_000_000 ? 8 : 2)
    }
  })

  test('do not send readers back when a slow writer comes late', async () => {
    await history(21)
    const slow = deltaFormat(store, encoder, { checkpointEvery: 1 }).open(BY_ZONE)
    const last = await textOf(`${LOG}_last_checkpoint`)
    await slow.refresh()
    await put(`${LOG}_last_checkpoint`, last.replace('"version":20', '"version":30'))
    await commit(slow, [file('x')])
    expect(await textOf(`${LOG}_last_checkpoint`)).toContain('"version":30')
  })
})

describe('old log files', () => {
  test('go below the newest checkpoint that is older than the retention', async () => {
    await history(36)
    const before = comparable(await open().read())
    // Version 23 is 12 days old: the checkpoint of 20 is what its readers begin with.
    await cleanLog(store, 'gold/t', FIRST_MS + 23 * DAY_MS, 1_000)
    const left = await names()
    expect(left.filter((name) => /^(\d|1\d)\./.test(name))).toEqual([])
    expect(left).toContain('20.checkpoint.parquet')
    expect(left).toContain('20.json')
    expect(left).toContain('35.json')
    expect(comparable(await open().read())).toEqual(before)
  })

  test('stay where no checkpoint is old enough, where readers are pointed to none, or to an older one', async () => {
    await history(25)
    const all = await names()
    expect(await cleanLog(store, 'gold/t', FIRST_MS + 10 * DAY_MS, 1_000)).toBe(0)
    const hint = await textOf(`${LOG}_last_checkpoint`)
    await store.delete(`${LOG}_last_checkpoint`)
    expect(await cleanLog(store, 'gold/t', FIRST_MS + 24 * DAY_MS, 1_000)).toBe(0)
    await put(`${LOG}_last_checkpoint`, hint.replace('"version":20', '"version":9'))
    expect(await cleanLog(store, 'gold/t', FIRST_MS + 24 * DAY_MS, 1_000)).toBe(0)
    expect(await names()).toEqual(all)
  })

  test('go a few at a time, the oldest first, and the log is whole in between', async () => {
    await history(25)
    const before = comparable(await open().read())
    for (let rounds = 0; rounds < 4; rounds++) {
      expect(await cleanLog(store, 'gold/t', FIRST_MS + 24 * DAY_MS, 5)).toBe(5)
      expect(comparable(await open().read())).toEqual(before)
    }
    expect(await names()).toContain('19.json')
  })

  test('are deleted by whoever writes, as the table says', async () => {
    const log = deltaFormat(store, encoder, { checkpointEvery: 500 }).open(SHAPE)
    await commit(log, [file('a')])
    await log.refresh()
    for (let version = 1; version <= 1_000; version++) {
      const committedMs = FIRST_MS + (version * 20 * DAY_MS) / 1_000
      await log.commit(version, plainCommit({ txn: new Map([['t', version]]), committedMs }))
    }
    const left = await names()
    expect(left.length).toBeLessThan(510)
    expect(left).toContain('500.checkpoint.parquet')
    expect((await open().refresh()).txn.get('t')).toBe(1_000)
  })

  test.each([
    [{}, 30 * DAY_MS],
    [{ 'delta.logRetentionDuration': 'interval 7 days' }, 7 * DAY_MS],
    [{ 'delta.logRetentionDuration': 'interval 1 second' }, DAY_MS],
    [{ 'delta.logRetentionDuration': 'interval 1 month' }, null],
    [{ 'delta.enableExpiredLogCleanup': 'false' }, null],
  ])('with the properties %j are kept for %s ms', (configuration, expected) => {
    expect(logRetentionMs(configuration as Record<string, string>)).toBe(expected)
  })

  test('intervals are read as Spark writes them', () => {
    expect(intervalMs('interval 1 week')).toBe(7 * DAY_MS)
    expect(intervalMs('INTERVAL 2 DAYS 12 HOURS')).toBe(2.5 * DAY_MS)
    expect(intervalMs('30 days')).toBe(30 * DAY_MS)
    for (const text of ['', 'soon', 'interval 3', 'interval 2 years', 'interval -1 days']) {
      expect(intervalMs(text)).toBeNull()
    }
    expect(tombstoneRetentionMs({})).toBe(7 * DAY_MS)
    expect(tombstoneRetentionMs({ 'delta.deletedFileRetentionDuration': 'interval 2 months' })).toBe(Infinity)
  })
})

describe('a writer that has slept until its next version was written and cleaned up', () => {
  /** A log with its own clock, and what others do to the table while it sleeps. */
  async function sleeper(inStore: ObjectStore = store) {
    let nowMs = FIRST_MS
    const log = deltaFormat(inStore, encoder, { nowMs: () => nowMs }).open(SHAPE)
    await commit(log, [file('a')], { txn: new Map([['t', 1]]) })
    const whileAsleep = async (): Promise<void> => {
      const others = deltaFormat(store, encoder, { nowMs: () => nowMs }).open(SHAPE)
      for (let version = 1; version <= 12; version++) {
        await commit(others, [file(`o${version}`)], { committedMs: FIRST_MS + version })
      }
      nowMs += 9 * DAY_MS
      expect(await cleanLog(store, 'gold/t', nowMs - 7 * DAY_MS, 1_000)).toBe(10)
      expect(await store.get(logKey(1))).toBeNull()
    }
    return { log, whileAsleep }
  }
  const late = plainCommit({ add: [file('late')], txn: new Map([['t', 2]]) })

  test('does not try', async () => {
    const { log, whileAsleep } = await sleeper()
    await whileAsleep()
    expect(await log.commit(1, late)).toBe('lost')
    expect(await store.get(logKey(1))).toBeNull()
    const { version } = await log.refresh()
    expect(version).toBe(12)
    expect(await log.commit(13, late)).toBe('committed')
  })

  test('in the middle of its put does not believe that it has won', async () => {
    let onPut: (() => Promise<void>) | null = null
    const slow: ObjectStore = {
      ...wrap(store),
      async putIfAbsent(key, body) {
        const wait = onPut
        onPut = null
        await wait?.()
        return store.putIfAbsent(key, body)
      },
    }
    const { log, whileAsleep } = await sleeper(slow)
    onPut = whileAsleep
    await expect(log.commit(1, late)).rejects.toMatchObject({ code: 'STORE_AMBIGUOUS', retryable: true })
    // Its put went into the hole. Nobody sees it, and it sees that nobody does.
    expect(await store.get(logKey(1))).not.toBeNull()
    const state = await log.read()
    expect(state.version).toBe(12)
    expect(state.txn.get('t')).toBe(1)
    expect(state.files.has('late.parquet')).toBe(false)
    expect(comparable(await open().read())).toEqual(comparable(state))
    expect(await log.commit(13, late)).toBe('committed')
    expect((await open().read()).files.has('late.parquet')).toBe(true)
  })

  test('in the middle of reading reads again', async () => {
    let onGet: (() => Promise<void>) | null = null
    const slow: ObjectStore = {
      ...wrap(store),
      async get(key) {
        const wait = key.endsWith('.json') ? onGet : null
        if (wait !== null) onGet = null
        await wait?.()
        return store.get(key)
      },
    }
    const { log, whileAsleep } = await sleeper(slow)
    await commit(open(), [file('b')])
    onGet = whileAsleep
    const state = await log.read()
    expect(state.version).toBe(13)
    expect(comparable(state)).toEqual(comparable(await open().read()))
  })
})
