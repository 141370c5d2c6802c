import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf, PipelineError } from '../../src/errors.ts'
import type { SchemaRegistry } from '../../src/ports.ts'

/** '1.avsc', '2-frame-v2.avsc': the leading number is the schema id. */
const ID_NAME = /^(\d+)(?:[-_. ].*)?\.avsc$/
/** '3f2c6d1e-9a4b-4c5d-8e6f-0123456789ab-order.avsc'. Its first digits are no id, also where there are no letters among them. */
const UUID_NAME = /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:[-_. ].*)?\.avsc$/i
const SCHEMA_ID_MAX = 0x7fff_ffff

/**
 * A schema registry that is a folder of .avsc files. The number that a file's name starts with is its schema id; where it starts with
 * a UUID, that is its schema version in the AWS Glue Schema Registry. The folder is listed on each call, so a file that is added is found; callers keep what they were given.
 *
 * Throws REGISTRY_UNREADABLE where the folder or a file cannot be read, REGISTRY_INVALID where a name has no id, an id
 * has two files, or a file is not JSON.
 */
export function directoryRegistry(path: string): SchemaRegistry {
  return {
    description: path,
    schemaById: (id) => schemaIn(path, id),
    schemaByUuid: (uuid) => schemaIn(path, uuid),
  }
}

async function schemaIn(path: string, id: number | string): Promise<string | null> {
  const name = (await listSchemas(path)).get(id)
  return name === undefined ? null : readSchema(join(path, name))
}

async function listSchemas(path: string): Promise<ReadonlyMap<number | string, string>> {
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
  const schemas = new Map<number | string, string>()
  for (const name of names.filter((name) => name.endsWith('.avsc')).sort()) {
    const id = idIn(name)
    if (id === null) {
      throw invalid(
        join(path, name),
        'the name does not start with a schema id, or the UUID of a schema version',
        'Name it 1-frame.avsc, say.',
      )
    }
    const other = schemas.get(id)
    if (other !== undefined) {
      throw invalid(
        join(path, name),
        `${other} has the schema ${typeof id === 'number' ? 'id' : 'version'} ${id} too`,
        'Give each schema an id of its own.',
      )
    }
    schemas.set(id, name)
  }
  return schemas
}

/** The schema id, or the UUID of the schema version, that a file's name starts with. Null where it has neither. */
export function idIn(name: string): number | string | null {
  const uuid = UUID_NAME.exec(name)?.[1]
  if (uuid !== undefined) return uuid.toLowerCase()
  const digits = ID_NAME.exec(name)?.[1]
  return digits === undefined || Number(digits) > SCHEMA_ID_MAX ? null : Number(digits)
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
