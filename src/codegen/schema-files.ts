import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf, PipelineError } from '../errors.ts'
import { GENERATED_MARK, generateSchemaTypes } from './schema-types.ts'

export interface SchemaFilesOptions {
  /** The folder of the .avsc files. Folders in it are left alone. */
  readonly dir: string
  /** The module that has `avroSchema`. Default: the one that the file imports now, else 'millrace'. */
  readonly importFrom?: string
}

/** The generated module of one schema. */
export interface SchemaTypesFile {
  /** Of the .ts file. */
  readonly path: string
  readonly state: 'fresh' | 'stale' | 'missing'
}

/**
 * Writes `<name>.ts` beside each `<name>.avsc` whose module is missing or stale; what it returns is how they were before. Throws
 * PipelineError where a schema is invalid, or where a .ts file of that name was written by somebody else.
 */
export async function writeSchemaTypes(options: SchemaFilesOptions): Promise<readonly SchemaTypesFile[]> {
  const modules = await modulesOf(options)
  for (const { file, text } of modules) if (file.state !== 'fresh') await writeFile(file.path, text)
  return modules.map(({ file }) => file)
}

/** Tells which modules are missing or stale, and changes nothing. */
export async function checkSchemaTypes(options: SchemaFilesOptions): Promise<readonly SchemaTypesFile[]> {
  return (await modulesOf(options)).map(({ file }) => file)
}

interface Module {
  readonly file: SchemaTypesFile
  readonly text: string
}

/** All are generated before any is written, so that one bad schema changes nothing. */
async function modulesOf({ dir, importFrom }: SchemaFilesOptions): Promise<readonly Module[]> {
  const names = (await listFiles(dir)).filter((name) => name.endsWith('.avsc')).sort()
  if (names.length === 0) {
    throw new PipelineError('SCHEMA_NOT_FOUND', `${dir} has no .avsc files`, {
      advice: 'Name the folder of the schemas, as in schemas/.',
    })
  }
  return Promise.all(names.map((name) => moduleOf(dir, name, importFrom)))
}

async function moduleOf(dir: string, name: string, importFrom: string | undefined): Promise<Module> {
  const path = join(dir, name.replace(/\.avsc$/, '.ts'))
  const present = await readIfPresent(path)
  if (present !== null && !present.startsWith(GENERATED_MARK)) {
    throw new PipelineError('SCHEMA_TYPES_FOREIGN', `${path} was not generated, and would be overwritten`, {
      advice: `Rename it: the types of ${name} go there.`,
    })
  }
  const text = await generate(join(dir, name), {
    importFrom: importFrom ?? importedFrom(present) ?? 'millrace',
    source: name,
  })
  const state = present === null ? 'missing' : present === text ? 'fresh' : 'stale'
  return { file: { path, state }, text }
}

function importedFrom(text: string | null): string | null {
  return text === null ? null : (/^import \{[^}]*\} from '([^']+)'$/m.exec(text)?.[1] ?? null)
}

/** Puts the path of the schema before what is wrong with it. */
async function generate(path: string, options: { importFrom: string; source: string }): Promise<string> {
  const text = await readFile(path, 'utf8')
  try {
    return generateSchemaTypes(JSON.parse(text), options)
  } catch (error) {
    if (error instanceof SyntaxError) {
      const advice = 'An .avsc file is JSON: no comments, no commas behind the last member.'
      throw new PipelineError('SCHEMA_INVALID', `${path} is not JSON: ${messageOf(error)}`, {
        cause: error,
        advice,
      })
    }
    if (!(error instanceof PipelineError)) throw error
    const { code, message, advice } = error
    throw new PipelineError(code, `${path}: ${message}`, {
      cause: error,
      ...(advice === undefined ? {} : { advice }),
    })
  }
}

async function listFiles(dir: string): Promise<readonly string[]> {
  try {
    return await readdir(dir)
  } catch (error) {
    throw new PipelineError('SCHEMA_NOT_FOUND', `${dir} cannot be read: ${messageOf(error)}`, {
      cause: error,
      advice: 'Name the folder of the schemas, as in schemas/.',
    })
  }
}

async function readIfPresent(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}
