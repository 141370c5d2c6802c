import { randomBytes } from 'node:crypto'
import type { Dirent } from 'node:fs'
import { link, mkdir, open, readdir, readFile, rename, stat, unlink } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { PipelineError } from '../src/errors.ts'
import type { ObjectStore, StoredObject } from '../src/ports.ts'
import { ambiguousError, errnoOf, linkError, readError, writeError } from './directory-errors.ts'
import { checkKey, compareKeys } from './object-key.ts'

/** Where objects are written before they get their name: in the lake itself, so on the same file system. */
const TEMPORARY_FOLDER = '_millrace/.tmp'
/** A temporary file this old belongs to a process that died. No write takes nearly as long. */
const TEMPORARY_AGE_MAX_MS = 3_600_000
/** How many files of one folder are asked for their size at once. */
const STAT_CONCURRENCY = 32

/**
 * Objects as files below a folder, which is made when something is first written.
 *
 * An object appears whole or not at all: it is written to a temporary file, fsynced, given its name by `link()`
 * (`putIfAbsent`; EEXIST means that another writer won) or by `rename()` (`put`), and the folder is fsynced. A
 * plain rename would replace the winner; an exclusive create at the final name could leave half an object.
 * A crash leaves at most a temporary file, which a later process sweeps away.
 *
 * Errors: STORE_NOT_WRITABLE, STORE_FULL, STORE_NO_LINKS, STORE_BAD_KEY, STORE_FAILED; STORE_AMBIGUOUS where the
 * object has its name but may not be durable.
 */
export function directoryStore(root: string): ObjectStore {
  return new DirectoryStore(resolve(root))
}

class DirectoryStore implements ObjectStore {
  readonly description: string
  readonly #root: string
  readonly #temporary: string
  /** Folders that exist and whose names are durable. */
  readonly #folders = new Set<string>()
  #swept = false

  constructor(root: string) {
    this.description = root
    this.#root = root
    this.#temporary = join(root, TEMPORARY_FOLDER)
  }

  async putIfAbsent(key: string, body: Uint8Array): Promise<'created' | 'exists'> {
    const path = this.#pathOf(key)
    const temporary = await this.#writeTemporary(body)
    try {
      await this.#inFolder(dirname(path), () => link(temporary, path))
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST' || !(await isThere(path))) throw linkError(path, error)
      // Whoever lost acts on what has won, so that must be durable too.
      await syncName(path)
      return 'exists'
    } finally {
      await discard(temporary)
    }
    await syncName(path)
    return 'created'
  }

  async put(key: string, body: Uint8Array): Promise<void> {
    const path = this.#pathOf(key)
    const temporary = await this.#writeTemporary(body)
    try {
      await this.#inFolder(dirname(path), () => rename(temporary, path))
    } catch (error) {
      await discard(temporary)
      throw writeError(path, error)
    }
    await syncName(path)
  }

  async get(key: string): Promise<Uint8Array | null> {
    const path = this.#pathOf(key)
    try {
      const body = await readFile(path)
      return new Uint8Array(body.buffer, body.byteOffset, body.length)
    } catch (error) {
      if (isMissing(error) || errnoOf(error) === 'EISDIR') return null
      throw readError(path, error)
    }
  }

  async list(prefix: string, startAfter = ''): Promise<readonly StoredObject[]> {
    const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1)
    if (folder !== '') checkKey(folder.slice(0, -1))
    const found: StoredObject[] = []
    await this.#listFolder(
      folder,
      (key) => key.startsWith(prefix) || prefix.startsWith(key),
      startAfter,
      found,
    )
    return found.filter((object) => object.key.startsWith(prefix)).sort((a, b) => compareKeys(a.key, b.key))
  }

  async listFolders(prefix: string): Promise<readonly string[]> {
    if (prefix !== '') checkKey(prefix.slice(0, -1))
    const names: string[] = []
    for (const entry of await this.#readFolder(prefix)) {
      const path = join(this.#root, prefix, entry.name)
      const kind = entry.isSymbolicLink() ? await linkedKind(path) : kindOf(entry)
      if (kind === 'folder') names.push(entry.name)
    }
    return names.sort(compareKeys)
  }

  async delete(key: string): Promise<void> {
    const path = this.#pathOf(key)
    try {
      await unlink(path)
    } catch (error) {
      // A folder is no object. Systems answer EPERM or EISDIR for it.
      if (isMissing(error) || (await linkedKind(path)) === 'folder') return
      throw writeError(path, error)
    }
    await syncFolder(dirname(path)).catch((error: unknown) => {
      if (!isMissing(error)) throw writeError(path, error)
    })
  }

  #pathOf(key: string): string {
    checkKey(key)
    if (key.startsWith(`${TEMPORARY_FOLDER}/`)) {
      throw new PipelineError(
        'STORE_BAD_KEY',
        `${TEMPORARY_FOLDER} is where the store keeps unfinished files.`,
      )
    }
    return join(this.#root, key)
  }

  /** Writes and fsyncs a file that nobody else knows. */
  async #writeTemporary(body: Uint8Array): Promise<string> {
    const path = join(this.#temporary, `${process.pid}-${randomBytes(12).toString('hex')}`)
    try {
      await this.#inFolder(this.#temporary, async () => {
        const file = await open(path, 'wx')
        try {
          await file.writeFile(body)
          await file.sync()
        } finally {
          await file.close()
        }
      })
    } catch (error) {
      await discard(path)
      throw writeError(path, error)
    }
    if (!this.#swept) {
      this.#swept = true
      await sweepTemporaries(this.#temporary, path)
    }
    return path
  }

  /** Runs an action that needs the folder, and once more where somebody has removed it since it was made. */
  async #inFolder(folder: string, action: () => Promise<void>): Promise<void> {
    try {
      await this.#makeFolder(folder)
      await action()
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error
      this.#folders.clear()
      await this.#makeFolder(folder)
      await action()
    }
  }

  /**
   * Makes a folder and those above it, and makes their names durable: also where the folder is there, because
   * another process may have made it and not have come to its fsync.
   */
  async #makeFolder(folder: string): Promise<void> {
    if (this.#folders.has(folder)) return
    if (folder === this.#root) {
      const made = await mkdir(folder, { recursive: true })
      if (made !== undefined) await syncFolder(dirname(made))
    } else {
      await this.#makeFolder(dirname(folder))
      await mkdir(folder).catch((error: unknown) => {
        if (errnoOf(error) !== 'EEXIST') throw error
      })
      await syncFolder(dirname(folder))
    }
    this.#folders.add(folder)
  }

  /** `folder` ends with '/' or is empty. Visits only what `wanted` says may hold matching keys. */
  async #listFolder(
    folder: string,
    wanted: (key: string) => boolean,
    startAfter: string,
    found: StoredObject[],
  ): Promise<void> {
    if (folder.startsWith(`${TEMPORARY_FOLDER}/`)) return
    const entries = await this.#readFolder(folder)
    const files: string[] = []
    for (const entry of entries) {
      const key = folder + entry.name
      const kind = entry.isSymbolicLink() ? await linkedKind(join(this.#root, key)) : kindOf(entry)
      if (kind === 'folder') {
        // All keys of the folder start with `key/`: they come after startAfter unless it sorts above them all.
        const reaches = startAfter.startsWith(`${key}/`) || compareKeys(`${key}/`, startAfter) > 0
        if (reaches && wanted(`${key}/`)) await this.#listFolder(`${key}/`, wanted, startAfter, found)
      } else if (kind === 'file' && wanted(key) && compareKeys(key, startAfter) > 0) files.push(key)
    }
    for (let index = 0; index < files.length; index += STAT_CONCURRENCY) {
      const some = files.slice(index, index + STAT_CONCURRENCY)
      const objects = await Promise.all(some.map((key) => this.#objectAt(key)))
      for (const object of objects) if (object !== null) found.push(object)
    }
  }

  async #readFolder(folder: string): Promise<readonly Dirent[]> {
    const path = join(this.#root, folder)
    try {
      return await readdir(path, { withFileTypes: true })
    } catch (error) {
      if (isMissing(error)) return []
      throw readError(path, error)
    }
  }

  async #objectAt(key: string): Promise<StoredObject | null> {
    const path = join(this.#root, key)
    try {
      const { size, mtimeMs } = await stat(path)
      return { key, size, modifiedMs: mtimeMs }
    } catch (error) {
      if (isMissing(error)) return null
      throw readError(path, error)
    }
  }
}

/**
 * Deletes the temporary files of processes that died. Ages are taken by the file system's own clock, against a
 * file just written there. It is housekeeping: whatever fails, the write that called it goes on.
 */
async function sweepTemporaries(folder: string, justWritten: string): Promise<void> {
  try {
    const nowMs = (await stat(justWritten)).mtimeMs
    for (const name of await readdir(folder)) {
      const path = join(folder, name)
      const ageMs = nowMs - (await stat(path)).mtimeMs
      if (ageMs >= TEMPORARY_AGE_MAX_MS) await unlink(path)
    }
  } catch {
    // Another process may be sweeping the same files.
  }
}

/** What cannot be deleted now is swept away later. */
async function discard(temporary: string): Promise<void> {
  await unlink(temporary).catch(() => {})
}

async function syncName(path: string): Promise<void> {
  try {
    await syncFolder(dirname(path))
  } catch (error) {
    throw ambiguousError(path, error)
  }
}

/** Makes the names in a folder durable. Windows cannot open folders, and journals names itself. */
async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

type EntryKind = 'file' | 'folder' | 'other'

function kindOf(entry: { isFile(): boolean; isDirectory(): boolean }): EntryKind {
  if (entry.isFile()) return 'file'
  return entry.isDirectory() ? 'folder' : 'other'
}

/** A lake may be put together from folders elsewhere. */
async function linkedKind(path: string): Promise<EntryKind> {
  try {
    return kindOf(await stat(path))
  } catch {
    return 'other'
  }
}

/** False for a folder: there is no object of that name, only objects below it. */
async function isThere(path: string): Promise<boolean> {
  return (await linkedKind(path)) === 'file'
}

/** ENOTDIR: a segment of the path is a file, so nothing can be below it. */
function isMissing(error: unknown): boolean {
  const errno = errnoOf(error)
  return errno === 'ENOENT' || errno === 'ENOTDIR'
}
