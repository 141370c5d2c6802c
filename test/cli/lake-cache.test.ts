import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { cachedFiles, type FetchProgress } from '../../src/cli/lake-cache.ts'
import type { LakeTable } from '../../src/cli/lake.ts'
import type { ObjectStore } from '../../src/ports.ts'
import { memoryStore } from '../../src/testing/memory-store.ts'
import { folderWith } from './run-cli.ts'

const SIZE = 1_000

/** A table with these files of a thousand bytes, which are in the store. */
async function tableOf(store: ObjectStore, path: string, names: readonly string[]): Promise<LakeTable> {
  for (const name of names) {
    const body = new Uint8Array(SIZE).fill(name.charCodeAt(name.length - 1))
    await store.put(`${path}/${decodeURIComponent(name)}`, body)
  }
  const files = names.map((name) => ({
    path: name,
    size: SIZE,
    rows: 1,
    partitionValues: {},
    stats: '{}',
    modifiedMs: 0,
    tags: {},
  }))
  return {
    path,
    sqlName: path.replaceAll('/', '.'),
    state: {
      version: 0,
      fields: [],
      configuration: {},
      txn: new Map(),
      files: new Map(files.map((file) => [file.path, file])),
      tombstones: new Map(),
      partitionColumns: [],
    },
  }
}

/** A store that tells what was read of it. */
function countingStore(): { readonly store: ObjectStore; readonly reads: string[] } {
  const inner = memoryStore()
  const reads: string[] = []
  const get = (key: string) => {
    reads.push(key)
    return inner.get(key)
  }
  return { store: Object.assign(Object.create(inner) as ObjectStore, bound(inner), { get }), reads }
}

/** Methods that find their private fields. */
function bound(inner: ObjectStore): Pick<ObjectStore, 'put'> {
  return { put: (key, body) => inner.put(key, body) }
}

const limits = (directory: string, bytesMax = 1_000_000) => ({ directory, bytesMax, onProgress: null })
const bytesIn = (directory: string): number =>
  readdirSync(join(directory, 'objects'), { recursive: true, encoding: 'utf8' })
    .map((name) => statSync(join(directory, 'objects', name)))
    .filter((stats) => stats.isFile())
    .reduce((sum, { size }) => sum + size, 0)

test('files are fetched once, and lie where the log says', async () => {
  const directory = folderWith({})
  const { store, reads } = countingStore()
  const table = await tableOf(store, 'silver/trips', ['day=2024-03-01/a', 'city=S%C3%A3o%2520Paulo/b', 'c'])
  const first = await cachedFiles(store, 'lake', limits(directory))
  const second = await cachedFiles(store, 'lake', limits(directory))
  await first.fetch(table)
  await first.fetch(table)
  await second.fetch(table)
  expect(reads.toSorted()).toEqual([
    'silver/trips/c',
    'silver/trips/city=São%20Paulo/b',
    'silver/trips/day=2024-03-01/a',
  ])
  for (const { root } of [first, second]) {
    expect(readFileSync(join(root, 'silver/trips/city=São%20Paulo/b'), 'utf8')).toBe('b'.repeat(SIZE))
    expect(readdirSync(join(root, 'silver/trips')).sort()).toEqual([
      'c',
      'city=São%20Paulo',
      'day=2024-03-01',
    ])
  }
  await first.close()
  expect(existsSync(first.root)).toBe(false)
  expect(existsSync(join(second.root, 'silver/trips/c'))).toBe(true)
  await second.close()
  expect(bytesIn(directory)).toBe(3 * SIZE)
})

test('two lakes with the same keys do not share files', async () => {
  const directory = folderWith({})
  for (const [lake, letter] of [
    ['one', 'a'],
    ['two', 'b'],
  ] as const) {
    const { store } = countingStore()
    const table = await tableOf(store, 't', ['x'])
    await store.put('t/x', new Uint8Array(SIZE).fill(letter.charCodeAt(0)))
    const files = await cachedFiles(store, lake, limits(directory))
    await files.fetch(table)
    expect(readFileSync(join(files.root, 't/x'), 'utf8')).toBe(letter.repeat(SIZE))
    await files.close()
  }
})

test('what was not used for longest gives way, also under somebody who reads it', async () => {
  const directory = folderWith({})
  const { store, reads } = countingStore()
  const open = () => cachedFiles(store, 'lake', limits(directory, 3 * SIZE))
  const [old, kept, fresh] = [
    await tableOf(store, 'old', ['a', 'b']),
    await tableOf(store, 'kept', ['k']),
    await tableOf(store, 'fresh', ['f', 'g']),
  ]
  const reader = await open()
  await reader.fetch(old)
  await reader.fetch(kept)
  const anHourAgo = new Date(Date.now() - 3_600_000)
  for (const name of readdirSync(join(directory, 'objects'), { recursive: true, encoding: 'utf8' })) {
    utimesSync(join(directory, 'objects', name), anHourAgo, anHourAgo)
  }
  const other = await open()
  await other.fetch(kept)
  await other.fetch(fresh)
  expect(bytesIn(directory)).toBe(3 * SIZE)
  expect(readFileSync(join(reader.root, 'old/a'), 'utf8')).toBe('a'.repeat(SIZE))
  reads.length = 0
  await (await open()).fetch(kept)
  expect(reads).toEqual([])
})

test('a table that does not fit is refused before anything is fetched', async () => {
  const directory = folderWith({})
  const { store, reads } = countingStore()
  const table = await tableOf(store, 't', ['a', 'b', 'c'])
  const files = await cachedFiles(store, 'lake', limits(directory, 2_500))
  await expect(files.fetch(table)).rejects.toMatchObject({ code: 'CACHE_TOO_SMALL' })
  expect(reads).toEqual([])
})

test('a file that is gone, or not what the log says, is an error and stays out of the cache', async () => {
  const directory = folderWith({})
  const { store } = countingStore()
  const table = await tableOf(store, 't', ['a'])
  await store.put('t/a', new Uint8Array(10))
  const files = await cachedFiles(store, 'lake', limits(directory))
  await expect(files.fetch(table)).rejects.toMatchObject({ code: 'LAKE_FILE_MISSING' })
  expect(existsSync(join(directory, 'objects'))).toBe(false)
})

test('a damaged file of the cache is fetched again', async () => {
  const directory = folderWith({})
  const { store } = countingStore()
  const table = await tableOf(store, 't', ['a'])
  const first = await cachedFiles(store, 'lake', limits(directory))
  await first.fetch(table)
  await first.close()
  for (const name of readdirSync(join(directory, 'objects'), { recursive: true, encoding: 'utf8' })) {
    const path = join(directory, 'objects', name)
    if (statSync(path).isFile()) writeFileSync(path, 'half')
  }
  const second = await cachedFiles(store, 'lake', limits(directory))
  await second.fetch(table)
  expect(readFileSync(join(second.root, 't/a'), 'utf8')).toBe('a'.repeat(SIZE))
})

test('folders of commands that were killed are removed, those of the living are not', async () => {
  const directory = folderWith({})
  const { store } = countingStore()
  // No system has so many processes.
  const dead = join(directory, 'runs', `${hostname()}-999999999-abc123`)
  const elsewhere = join(directory, 'runs', 'another-host-1-abc123')
  for (const folder of [dead, elsewhere]) mkdirSync(folder, { recursive: true })
  const living = await cachedFiles(store, 'lake', limits(directory))
  await cachedFiles(store, 'lake', limits(directory))
  expect([dead, elsewhere, living.root].map((path) => existsSync(path))).toEqual([false, true, true])
})

test('progress is told until all is there', async () => {
  const { store } = countingStore()
  const table = await tableOf(store, 'gold/t', ['a', 'b'])
  const told: (FetchProgress | null)[] = []
  const options = {
    ...limits(folderWith({})),
    onProgress: (progress: FetchProgress | null) => told.push(progress),
  }
  await (await cachedFiles(store, 'lake', options)).fetch(table)
  expect(told).toEqual([
    { table: 'gold.t', bytes: SIZE, bytesTotal: 2 * SIZE },
    { table: 'gold.t', bytes: 2 * SIZE, bytesTotal: 2 * SIZE },
    null,
  ])
})
