import { randomUUID } from 'node:crypto'
import { link, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf, PipelineError } from '../../src/errors.ts'
import type { SchemaRegistry } from '../../src/ports.ts'
import { directoryRegistry, idIn } from './directory.ts'

/** Somebody else may take a number just before us, but not for ever. */
const TRIES_MAX = 1_000

/**
 * A folder of .avsc files as `directoryRegistry` reads it, which takes schemas too: for outputs on a machine that has no registry, as in an example or a test. The
 * same schema gets the same id, a new one the next. Two that register the same one at the same moment may get an id each, and both read it. It has no subjects,
 * and so no compatibility that it could hold to.
 *
 * Throws what `directoryRegistry` throws, and REGISTRY_UNWRITABLE.
 */
export function writableDirectoryRegistry(
  path: string,
): Required<Pick<SchemaRegistry, 'register'>> & SchemaRegistry {
  return { ...directoryRegistry(path), register: (_subject, schema) => register(path, schema) }
}

async function register(path: string, schema: string): Promise<number> {
  const text = JSON.stringify(JSON.parse(schema))
  const written = join(path, `.${randomUUID()}.tmp`)
  try {
    await mkdir(path, { recursive: true })
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const known = await idsBySchema(path)
      const found = known.get(text)
      if (found !== undefined) return found
      const id = Math.max(0, ...known.values()) + 1
      if (tries === 0) await writeFile(written, text)
      // A link is there whole or not at all, and there is one winner.
      if (await linked(written, join(path, `${id}.avsc`))) return id
    }
  } catch (cause) {
    throw unwritable(path, messageOf(cause), cause)
  } finally {
    await rm(written, { force: true }).catch(() => {})
  }
  throw unwritable(path, 'others take every number', undefined)
}

async function idsBySchema(path: string): Promise<ReadonlyMap<string, number>> {
  const ids = new Map<string, number>()
  for (const name of await readdir(path)) {
    const id = idIn(name)
    if (typeof id !== 'number') continue
    ids.set(JSON.stringify(JSON.parse(await readFile(join(path, name), 'utf8'))), id)
  }
  return ids
}

async function linked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

function unwritable(path: string, what: string, cause: unknown): PipelineError {
  return new PipelineError('REGISTRY_UNWRITABLE', `${path}: no schema can be registered: ${what}`, {
    cause,
    advice: 'Give a folder that this process may write to, or a registry with an address.',
  })
}
