import { stat } from 'node:fs/promises'
import { directory } from '../../sinks/directory.ts'
import { PipelineError } from '../errors.ts'
import type { Lake, ObjectStore } from '../ports.ts'
import { usageError } from './failure.ts'
import { cachedFiles, type CacheOptions } from './lake-cache.ts'
import { type LakeFiles, localFiles } from './lake-files.ts'

/** What a `--lake` names. */
export interface OpenLake extends Lake {
  /** As it was written: for messages, and for commands that are proposed. */
  readonly name: string
  /** True where its files are on this machine. */
  readonly isLocal: boolean
  /** @throws PipelineError LAKE_NOT_FOUND where nothing was ever written */
  checkThere(): Promise<void>
  /** For the database. What is fetched for it goes away when they are closed. */
  openFiles(options: CacheOptions): Promise<LakeFiles>
  close(): Promise<void>
}

/**
 * The lake of `--lake`: a folder, or `s3://bucket/prefix`, for which region, credentials and endpoint come from where the AWS tools
 * look for them (AWS_REGION, AWS_PROFILE, AWS_ENDPOINT_URL_S3, …). Nothing is asked of either yet.
 *
 * @throws PipelineError USAGE, and what s3() throws for a wrong bucket or prefix
 */
export async function openLake(name: string): Promise<OpenLake> {
  const scheme = /^([a-z][a-z0-9+.-]+):\/\//i.exec(name)?.[1]?.toLowerCase()
  if (scheme === undefined) return openFolder(name)
  if (scheme === 's3') return openBucket(name)
  throw usageError(`--lake ${name} is of no kind that is known`, 'Name a folder, or s3://bucket/prefix.')
}

function openFolder(name: string): OpenLake {
  return {
    ...directory(name),
    name,
    isLocal: true,
    checkThere: () => checkFolder(name),
    openFiles: async () => localFiles(name),
    close: async () => {},
  }
}

async function openBucket(name: string): Promise<OpenLake> {
  const [, bucket = '', prefix = ''] = /^s3:\/\/([^/]*)\/?(.*?)\/?$/i.exec(name) ?? []
  if (bucket === '') throw usageError(`--lake ${name} names no bucket`, 'Write it as s3://bucket/prefix.')
  // The AWS client takes its time to load.
  const { s3 } = await import('../../sinks/s3/index.ts')
  const { endpointOf } = await import('../../sinks/s3/s3-options.ts')
  const lake = s3({ bucket, ...(prefix === '' ? {} : { prefix }) })
  return {
    ...lake,
    name,
    isLocal: false,
    checkThere: () => checkBucket(lake.store, name),
    openFiles: (options) =>
      cachedFiles(lake.store, `${endpointOf(process.env) ?? ''} ${lake.store.description}`, options),
    close: async () => lake.store.close?.(),
  }
}

async function checkFolder(name: string): Promise<void> {
  const stats = await stat(name).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null
    throw error
  })
  if (stats?.isDirectory() !== true) throw notFound(name, stats === null ? '' : ': it is a file')
}

async function checkBucket(store: ObjectStore, name: string): Promise<void> {
  const folders = await store.listFolders?.('')
  if (folders?.length === 0) throw notFound(name, ': nothing is stored there')
}

function notFound(name: string, why: string): PipelineError {
  return new PipelineError('LAKE_NOT_FOUND', `there is no lake at ${name}${why}`, {
    advice: `Name it with --lake, or fill one: millrace replay <program.ts> --recording <file> --lake ${name}`,
  })
}
