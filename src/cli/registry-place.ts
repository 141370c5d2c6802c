import { readFile } from 'node:fs/promises'
import {
  type ConfluentRegistry,
  confluentRegistry,
  directoryRegistry,
  glueRegistry,
  registries,
  type RegistryAuth,
  type RegistryTls,
} from '../../consumers/registry/index.ts'
import type { SchemaRegistry } from '../ports.ts'
import { type Options, textOf } from './command.ts'
import { usageError } from './failure.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** For `--help` of each command that speaks with a registry. */
export const REGISTRY_HELP = `A registry that wants to know who asks: MILLRACE_REGISTRY_USERNAME and MILLRACE_REGISTRY_PASSWORD, or
MILLRACE_REGISTRY_TOKEN. With a certificate of one's own authority: MILLRACE_REGISTRY_CA, a PEM file.`

export const GLUE_HELP = 'schemas are in the AWS Glue Schema Registry of the same region'
export const GLUE_REGISTRY_HELP = 'schemas are in that of this region, or at this endpoint (URL)'

/** A region, or an endpoint; '' is the region of the stream, or of the environment. Null: Glue is not asked. */
export function glueOf(options: Options): string | null {
  return textOf(options, 'glueRegistry') ?? (options['glue'] === true ? '' : null)
}

/** Where a command looks for the schemas that records name. One of the two is not null. */
export interface NamedRegistries {
  /** Of Confluent's kind. */
  readonly registry: SchemaRegistry | null
  /** As `glueOf` gives it. */
  readonly glue: string | null
  /** Of the stream, where it was named. */
  readonly region: string | null
}

/** Both as one, where there are both. */
export function registriesOf(named: NamedRegistries, env: Environment = process.env): SchemaRegistry {
  const glue = named.glue === null ? null : gluePlace(named.glue, named.region, env)
  return registries(...[named.registry, glue].filter((registry) => registry !== null))
}

function gluePlace(place: string, streamRegion: string | null, env: Environment): SchemaRegistry {
  const region = streamRegion ?? (env['AWS_REGION'] || env['AWS_DEFAULT_REGION'] || null)
  // A server of one's own seldom has regions.
  if (isRegistryUrl(place)) return glueRegistry({ endpoint: place, region: region ?? 'us-east-1' })
  const named = place === '' ? region : place
  if (named !== null && !/^[a-z]{2,}(-[a-z0-9]+)+$/.test(named)) {
    throw usageError(
      `--glue-registry ${named} is neither a region nor a URL`,
      'As in eu-west-1, or http://127.0.0.1:5000.',
    )
  }
  return glueRegistry(named === null ? {} : { region: named })
}

/** A registry by its URL, or a folder of .avsc files. Secrets come from the environment, where no list of processes shows them. */
export async function registryPlace(named: string, env: Environment = process.env): Promise<SchemaRegistry> {
  return isRegistryUrl(named) ? remoteRegistry(named, env) : directoryRegistry(named)
}

/** Throws USAGE where it is no URL. */
export async function remoteRegistry(
  url: string,
  env: Environment = process.env,
): Promise<ConfluentRegistry> {
  if (!isRegistryUrl(url)) {
    throw usageError(`--registry ${url} is no URL`, 'Give the URL of the registry: http://localhost:8081.')
  }
  const auth = authOf(env)
  const tls = await tlsOf(env)
  return confluentRegistry({ url, tls, ...(auth === null ? {} : { auth }) })
}

export function isRegistryUrl(text: string): boolean {
  return /^https?:\/\//i.test(text)
}

function authOf(env: Environment): RegistryAuth | null {
  const token = env['MILLRACE_REGISTRY_TOKEN'] ?? ''
  if (token !== '') return { token }
  const username = env['MILLRACE_REGISTRY_USERNAME'] ?? ''
  return username === '' ? null : { username, password: env['MILLRACE_REGISTRY_PASSWORD'] ?? '' }
}

async function tlsOf(env: Environment): Promise<RegistryTls> {
  const path = env['MILLRACE_REGISTRY_CA'] ?? ''
  if (path === '') return {}
  try {
    return { ca: await readFile(path, 'utf8') }
  } catch {
    throw usageError(`MILLRACE_REGISTRY_CA is ${path}, which cannot be read`, 'It is the path of a PEM file.')
  }
}
