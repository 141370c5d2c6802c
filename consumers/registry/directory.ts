import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf, PipelineError } from '../../src/errors.ts'
import type { SchemaRegistry } from '../../src/ports.ts'

/** '1.avsc', '2-frame-v2.avsc': the leading number is the schema id. */
const FILE_NAME = /^(\d+)(?:[-_. ].*)?\.avsc$/
const SCHEMA_ID_MAX = 0x7fff_ffff

/**
 * A schema registry that is a folder of .avsc files. The number that a file's name starts with is its schema id. The
 * folder is listed on each call, so a file that is added is found; callers keep what they were given.
 *
 * Throws REGISTRY_UNREADABLE where the folder or a file cannot be read, REGISTRY_INVALID where a name has no id, an id
 * has two files, or a file is not JSON.
 */
export function directoryRegistry(path: string): SchemaRegistry {
  return {
    description: path,
    async schemaById(id) {
      const name = (await listSchemas(path)).get(id)
      return name === undefined ? null : readSchema(join(path, name))
    },
  }
}

async function listSchemas(path: string): Promise<ReadonlyMap<number, string>> {
  let names: string[]
  try {
    names = await readdir(path)
  } catch (cause) {
    throw new PipelineError(
      'REGISTRY_UNREADABLE',
      `${path}: the schema registry cannot be read: ${messageOf(cause)}`,
      { cause, advice: 'Give a folder of .avsc files whose names start with their schema id: 1-frame.avsc.' },
    )
  }
  const schemas = new Map<number, string>()
  for (const name of names.filter((name) => name.endsWith('.avsc')).sort()) {
    const digits = FILE_NAME.exec(name)?.[1]
    const id = Number(digits)
    if (digits === undefined || id > SCHEMA_ID_MAX) {
      throw invalid(
        join(path, name),
        'the name does not start with a schema id',
        'Name it 1-frame.avsc, say.',
      )
    }
    const other = schemas.get(id)
    if (other !== undefined) {
      throw invalid(
        join(path, name),
        `${other} has the schema id ${id} too`,
        'Give each schema an id of its own.',
      )
    }
    schemas.set(id, name)
  }
  return schemas
}

async function readSchema(file: string): Promise<string> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (cause) {
    throw new PipelineError(
      'REGISTRY_UNREADABLE',
      `${file}: the schema cannot be read: ${messageOf(cause)}`,
      { cause },
    )
  }
  try {
    JSON.parse(text)
  } catch (cause) {
    throw invalid(file, `the schema is not JSON: ${messageOf(cause)}`, 'Repair the file.')
  }
  return text
}

function invalid(file: string, what: string, advice: string): PipelineError {
  return new PipelineError('REGISTRY_INVALID', `${file}: ${what}`, { advice })
}
