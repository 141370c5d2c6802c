import { createHash, randomBytes } from 'node:crypto'
import { copyFile, link, mkdir, readdir, rename, rm, stat, unlink, utimes, writeFile } from 'node:fs/promises'
import { homedir, hostname } from 'node:os'
import { dirname, join } from 'node:path'
import { PipelineError } from '../errors.ts'
import type { ObjectStore, StagedFile } from '../ports.ts'
import { byteText } from './format.ts'
import { filePath, type LakeTable } from './lake.ts'
import type { LakeFiles } from './lake-files.ts'

/** Where files of lakes are kept that are not on this machine, and how much of them. */
export interface CacheLimits {
  /** Null: millrace/lakes in the cache folder of the user. */
  readonly directory: string | null
  /** Of all files together. The least recently used ones give way. */
  readonly bytesMax: number
}

export const CACHE_DEFAULT: CacheLimits = { directory: null, bytesMax: 2 * 1024 * 1024 * 1024 }

export interface CacheOptions extends CacheLimits {
  /** Told while files are fetched; null when that is done. */
  readonly onProgress: ((progress: FetchProgress | null) => void) | null
}

export interface FetchProgress {
  readonly table: string
  readonly bytes: number
  readonly bytesTotal: number
}

const FETCHES_AT_ONCE = 16
/** Bodies in memory. A larger one is fetched by itself. */
const FETCH_BYTES_AT_ONCE = 128 * 1024 * 1024
/** What is left by a process of another machine is not looked after for longer. */
const RUN_AGE_MAX_MS = 7 * 24 * 3_600_000

/**
 * Files of a lake that is not on this machine, fetched through its store when they are asked for and kept for the next command. Data files
 * never change, so a file is known by its key, and its size is checked against the log.
 *
 *     objects/3f/3f9c…           a file, named by the hash of its lake and key; its mtime is its last use
 *     runs/<host>-<pid>-<nonce>/ the folders of one command, as DuckDB reads them: hard links to objects
 *
 * Because a command reads through links of its own, another one may throw objects out at any time. Each object appears by a rename,
 * so two processes that fetch the same file do no harm. Folders of processes that are gone are removed by the next one.
 *
 * The files throw CACHE_TOO_SMALL, LAKE_FILE_MISSING, and what the store throws.
 */
export async function cachedFiles(
  store: ObjectStore,
  lakeId: string,
  options: CacheOptions,
): Promise<LakeFiles> {
  const cache = options.directory ?? defaultDirectory(process.env)
  const runs = join(cache, 'runs')
  await mkdir(runs, { recursive: true })
  await sweepRuns(runs)
  const root = join(runs, `${hostname()}-${process.pid}-${randomBytes(6).toString('hex')}`)
  await mkdir(root)
  return new CachedFiles(store, lakeId, join(cache, 'objects'), root, options)
}

function defaultDirectory(env: NodeJS.ProcessEnv): string {
  const base = env['XDG_CACHE_HOME'] || env['LOCALAPPDATA'] || join(homedir(), '.cache')
  return join(base, 'millrace', 'lakes')
}

interface WantedFile {
  readonly key: string
  readonly size: number
  /** In the cache. */
  readonly object: string
  /** Where DuckDB looks for it. */
  readonly path: string
}

class CachedFiles implements LakeFiles {
  readonly root: string
  readonly #store: ObjectStore
  readonly #lakeId: string
  readonly #objects: string
  readonly #options: CacheOptions

  constructor(store: ObjectStore, lakeId: string, objects: string, root: string, options: CacheOptions) {
    this.root = root
    this.#store = store
    this.#lakeId = lakeId
    this.#objects = objects
    this.#options = options
  }

  async fetch(table: LakeTable): Promise<void> {
    const files = [...table.state.files.values()].map((file) => this.#wanted(table, file))
    const bytesTotal = bytesOf(files)
    const { bytesMax, onProgress } = this.#options
    if (bytesTotal > bytesMax) {
      throw new PipelineError(
        'CACHE_TOO_SMALL',
        `${table.sqlName} has ${byteText(bytesTotal)} in ${files.length} files, and the cache holds ${byteText(bytesMax)}`,
        {
          advice:
            'Give it more room with --cache-bytes, or query the table with an engine that reads S3 itself.',
        },
      )
    }
    for (const folder of new Set(files.map((file) => dirname(file.path))))
      await mkdir(folder, { recursive: true })
    const missing: WantedFile[] = []
    for (const file of files) if (!(await takeFromCache(file))) missing.push(file)
    if (missing.length === 0) return
    const bytesMissing = bytesOf(missing)
    await makeRoom(this.#objects, bytesMax - bytesMissing)
    let bytes = bytesTotal - bytesMissing
    await inParallel(missing, async (file) => {
      await this.#download(table, file)
      bytes += file.size
      onProgress?.({ table: table.sqlName, bytes, bytesTotal })
    })
    onProgress?.(null)
  }

  async close(): Promise<void> {
    await rm(this.root, { recursive: true, force: true })
  }

  #wanted(table: LakeTable, { path, size }: StagedFile): WantedFile {
    const key = `${table.path}/${decodeURIComponent(path)}`
    const name = createHash('sha256').update(`${this.#lakeId}\n${key}`).digest('hex')
    const object = join(this.#objects, name.slice(0, 2), name)
    return { key, size, object, path: filePath(this.root, table, path) }
  }

  async #download(table: LakeTable, file: WantedFile): Promise<void> {
    const body = await this.#store.get(file.key)
    if (body?.length !== file.size) {
      const what = body === null ? 'is gone' : `has ${body.length} bytes in place of ${file.size}`
      throw new PipelineError('LAKE_FILE_MISSING', `a file of ${table.sqlName} ${what}: ${file.key}`, {
        advice:
          'Run the command again: the table has been rewritten meanwhile. If it stays, the lake is damaged.',
      })
    }
    const temporary = join(this.root, `.${randomBytes(6).toString('hex')}`)
    await writeFile(temporary, body)
    await placeFile(temporary, file.path)
    await mkdir(dirname(file.object), { recursive: true })
    await rename(temporary, file.object)
  }
}

function bytesOf(files: readonly { readonly size: number }[]): number {
  return files.reduce((sum, file) => sum + file.size, 0)
}

/** False where it is not in the cache, or not whole. */
async function takeFromCache({ object, path, size }: WantedFile): Promise<boolean> {
  try {
    await placeFile(object, path)
    if ((await stat(path)).size !== size) {
      await unlink(path)
      return false
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw error
  }
  const now = new Date()
  // Another process may have thrown it out meanwhile: we have our link.
  await utimes(object, now, now).catch(() => {})
  return true
}

/** A second name, or a copy on file systems without hard links. */
async function placeFile(from: string, to: string): Promise<void> {
  try {
    await link(from, to)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST') return
    if (code !== 'EPERM' && code !== 'ENOTSUP' && code !== 'EOPNOTSUPP' && code !== 'EMLINK') throw error
    await copyFile(from, to)
  }
}

/** Throws out what was not used for longest, until what stays fits. */
async function makeRoom(objects: string, bytesMax: number): Promise<void> {
  const found: { readonly path: string; readonly size: number; readonly usedMs: number }[] = []
  for (const folder of await namesIn(objects)) {
    for (const name of await namesIn(join(objects, folder))) {
      const path = join(objects, folder, name)
      const stats = await stat(path).catch(() => null)
      if (stats !== null) found.push({ path, size: stats.size, usedMs: stats.mtimeMs })
    }
  }
  let bytes = bytesOf(found)
  for (const { path, size } of found.sort((a, b) => a.usedMs - b.usedMs)) {
    if (bytes <= bytesMax) return
    await unlink(path).catch(() => {})
    bytes -= size
  }
}

/** Removes the folders of commands that did not come to their end. */
async function sweepRuns(runs: string): Promise<void> {
  for (const name of await namesIn(runs)) {
    const match = /^(.*)-(\d+)-[0-9a-f]+$/.exec(name)
    const path = join(runs, name)
    const isOurs = match?.[1] === hostname()
    const stats = await stat(path).catch(() => null)
    if (stats === null) continue
    const isOver = isOurs ? !isAlive(Number(match[2])) : Date.now() - stats.mtimeMs > RUN_AGE_MAX_MS
    if (isOver) await rm(path, { recursive: true, force: true }).catch(() => {})
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // It is there, and somebody else's.
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

async function namesIn(folder: string): Promise<readonly string[]> {
  return readdir(folder).catch(() => [])
}

/** Some at once, by number and by bytes. The first failure stops the rest and is thrown. */
async function inParallel(
  files: readonly WantedFile[],
  work: (file: WantedFile) => Promise<void>,
): Promise<void> {
  const running = new Set<Promise<void>>()
  const failures: unknown[] = []
  let bytes = 0
  for (const file of files) {
    while (running.size >= FETCHES_AT_ONCE || (running.size > 0 && bytes + file.size > FETCH_BYTES_AT_ONCE)) {
      await Promise.race(running)
    }
    if (failures.length > 0) break
    bytes += file.size
    const one = work(file)
      .catch((error: unknown) => void failures.push(error))
      .finally(() => {
        bytes -= file.size
        running.delete(one)
      })
    running.add(one)
  }
  await Promise.all(running)
  if (failures.length > 0) throw failures[0]
}
