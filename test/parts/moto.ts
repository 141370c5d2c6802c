import { mkdtemp } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import {
  CreateRegistryCommand,
  CreateSchemaCommand,
  GlueClient,
  RegisterSchemaVersionCommand,
} from '@aws-sdk/client-glue'
import { type Missing, mustBeReady } from './cache.ts'
import { makePython } from './python.ts'
import { freePort, type OwnServer, startOwnServer } from './server.ts'
import { type Owner, share, thisProcess } from './shared.ts'

const VERSION = '5.2.5'
const START_TIMEOUT_MS = 60_000

/** Where AWS Glue is. Any credentials do. */
export interface GlueAddress {
  readonly endpoint: string
  readonly region: string
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string }
}

export type SharedGlue = ({ readonly kind: 'ready'; readonly how: string } & GlueAddress) | Missing

/**
 * The AWS Glue of the whole test run: moto, started once and stopped with the run. It checks neither credentials nor compatibility. Tests take registries
 * of their own names.
 */
export async function findGlue(): Promise<SharedGlue> {
  const part = await share<{ readonly endpoint: string }>('glue', async (owner) => {
    const packages = await findMotoPackages()
    if (packages.kind === 'missing') return packages
    const moto = await startMoto({ owner })
    const { endpoint } = moto
    return {
      kind: 'ready',
      value: { endpoint },
      how: `moto ${VERSION} from its Python package at ${endpoint}`,
      pids: [moto.pid()],
    }
  })
  return mustBeReady(
    part.kind === 'missing' ? part : { kind: 'ready', how: part.how, ...glueAt(part.value.endpoint) },
  )
}

const glueAt = (endpoint: string): GlueAddress => ({
  endpoint,
  region: 'eu-west-1',
  credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
})

export type MotoPackages = { readonly kind: 'ready'; readonly command: string } | Missing

/** The server in a Python environment of its own, installed once per clone. */
export async function findMotoPackages(): Promise<MotoPackages> {
  const python = await makePython('millrace-moto', [`moto[server]==${VERSION}`])
  if (python.kind === 'missing') return { kind: 'missing', reason: `AWS Glue: ${python.reason}` }
  return { kind: 'ready', command: join(dirname(python.executable), 'moto_server') }
}

export interface Moto extends OwnServer, GlueAddress {}

/** A moto of one's own. What it holds is in memory: a restart forgets it. Throws where the package cannot be had. */
export async function startMoto({ owner = thisProcess() }: { readonly owner?: Owner } = {}): Promise<Moto> {
  const packages = await findMotoPackages()
  if (packages.kind === 'missing') throw new Error(packages.reason)
  const home = await mkdtemp(join(owner.folder, 'millrace-moto-'))
  const port = await freePort()
  const endpoint = `http://127.0.0.1:${port}`
  const server = await startOwnServer({
    name: `moto ${VERSION}`,
    command: packages.command,
    args: ['-H', '127.0.0.1', '-p', String(port)],
    folder: home,
    log: join(home, 'moto.log'),
    probe: async () => {
      const response = await fetch(`${endpoint}/moto-api/`, { signal: AbortSignal.timeout(5000) })
      await response.arrayBuffer()
      if (!response.ok) throw new Error(`HTTP ${response.status}`)
    },
    startTimeoutMs: START_TIMEOUT_MS,
    ownerPid: owner.pid,
  })
  return { ...server, ...glueAt(endpoint) }
}

/** Registers the versions of one schema, in their order, under a registry of its own, and gives their UUIDs. */
export async function registerInGlue(
  address: GlueAddress,
  registry: string,
  versions: readonly string[],
  format: 'AVRO' | 'JSON' = 'AVRO',
): Promise<readonly string[]> {
  const client = new GlueClient({ ...address, maxAttempts: 1 })
  const name = { RegistryName: registry, SchemaName: 'value' }
  const [first, ...later] = versions
  await client.send(new CreateRegistryCommand({ RegistryName: registry }))
  const created = await client.send(
    new CreateSchemaCommand({
      RegistryId: { RegistryName: registry },
      SchemaName: name.SchemaName,
      DataFormat: format,
      Compatibility: 'NONE',
      SchemaDefinition: first!,
    }),
  )
  const uuids = [created.SchemaVersionId!]
  for (const SchemaDefinition of later) {
    const { SchemaVersionId } = await client.send(
      new RegisterSchemaVersionCommand({ SchemaId: name, SchemaDefinition }),
    )
    uuids.push(SchemaVersionId!)
  }
  client.destroy()
  return uuids
}
