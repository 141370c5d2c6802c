import { readFile } from 'node:fs/promises'
import {
  type ConfluentRegistry,
  confluentRegistry,
  directoryRegistry,
  type RegistryAuth,
  type RegistryTls,
} from '../../consumers/registry/index.ts'
import type { SchemaRegistry } from '../ports.ts'
import { usageError } from './failure.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** For `--help` of each command that speaks with a registry. */
export const REGISTRY_HELP = `A registry that wants to know who asks: MILLRACE_REGISTRY_USERNAME and MILLRACE_REGISTRY_PASSWORD, or
MILLRACE_REGISTRY_TOKEN. With a certificate of one's own authority: MILLRACE_REGISTRY_CA, a PEM file.`

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
