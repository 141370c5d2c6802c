import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { makeOnce, type Missing, mustBeReady, reasonOf } from './cache.ts'
import { composeUp } from './docker.ts'
import { adviceForJava, copyArchive, findJava } from './java.ts'
import { freePort, type OwnServer, startOwnServer } from './server.ts'
import { share, thisProcess, type Owner } from './shared.ts'

const VERSION = '3.3.3'
const JAVA_VERSION = 21
const START_TIMEOUT_MS = 120_000

const run = promisify(execFile)

export type SharedRegistry = { readonly kind: 'ready'; readonly url: string; readonly how: string } | Missing

/**
 * The schema registry of the whole test run, with Confluent's interface: the one of MILLRACE_REGISTRY_URL, else an
 * Apicurio that is started once and stopped with the run. Tests take subjects of their own names.
 */
export async function findRegistry(): Promise<SharedRegistry> {
  const given = process.env['MILLRACE_REGISTRY_URL']
  const part = await share<{ readonly url: string }>('registry', async (owner) => {
    if (given !== undefined) {
      return { kind: 'ready', value: { url: given }, how: `MILLRACE_REGISTRY_URL=${given}`, pids: [] }
    }
    const container = await composeUp('registry', owner, (port) => ({ url: urlAt(port) }))
    if (container !== undefined) return container
    const packages = await findRegistryPackages()
    if (packages.kind === 'missing') return packages
    const registry = await startRegistry({ owner })
    return {
      kind: 'ready',
      value: { url: registry.url },
      how: `Apicurio ${VERSION} from its Maven package at ${registry.url}`,
      pids: [registry.pid()],
    }
  })
  return mustBeReady(part.kind === 'missing' ? part : { kind: 'ready', url: part.value.url, how: part.how })
}

const urlAt = (port: number): string => `http://127.0.0.1:${port}/apis/ccompat/v7`

export type RegistryPackages =
  | { readonly kind: 'ready'; readonly java: string; readonly folder: string }
  | Missing

/** The unpacked distribution, downloaded once per clone. */
export async function findRegistryPackages(): Promise<RegistryPackages> {
  const java = findJava(JAVA_VERSION)
  if (java === undefined) return { kind: 'missing', reason: `Registry: ${adviceForJava(JAVA_VERSION)}` }
  try {
    const folder = await makeOnce(
      `millrace-apicurio-${VERSION}`,
      `Apicurio ${VERSION} (159 MB from Maven)`,
      async (folder) => {
        const app = { group: 'io.apicurio', name: 'apicurio-registry-app', version: VERSION }
        await copyArchive(folder, app, 'tar.gz:all')
        const archive = join(folder, 'lib', `apicurio-registry-app-${VERSION}-all.tar.gz`)
        await run('tar', ['-xzf', archive, '-C', folder])
        await rm(archive)
      },
    )
    return { kind: 'ready', java, folder }
  } catch (error) {
    return { kind: 'missing', reason: `Apicurio ${VERSION} could not be installed: ${reasonOf(error)}` }
  }
}

export interface Registry extends OwnServer {
  /** Base of Confluent's interface, without a slash at the end. The same after a restart. */
  readonly url: string
}

export interface RegistryOptions {
  /** Settings of Apicurio or Quarkus, as in its application.properties. */
  readonly properties?: Readonly<Record<string, string>>
  /** Whose end is its end, and where its folder is. This process, and the system's temporary folder. */
  readonly owner?: Owner
}

/**
 * A registry of one's own. Its schemas are in a file, so that they are still there after a kill and a restart. Throws
 * where the package cannot be had: ask findRegistryPackages first.
 */
export async function startRegistry(options: RegistryOptions = {}): Promise<Registry> {
  const packages = await findRegistryPackages()
  if (packages.kind === 'missing') throw new Error(packages.reason)
  const owner = options.owner ?? thisProcess()
  const home = await mkdtemp(join(owner.folder, 'millrace-registry-'))
  const port = await freePort()
  const managementPort = await freePort()
  const properties: Record<string, string> = {
    'quarkus.http.host': '127.0.0.1',
    'quarkus.http.port': String(port),
    'quarkus.management.host': '127.0.0.1',
    'quarkus.management.port': String(managementPort),
    // What was answered is on disk: by default H2 writes half a second later.
    'apicurio.datasource.url': `jdbc:h2:file:${join(home, 'schemas')};WRITE_DELAY=0`,
    'quarkus.log.level': 'WARN',
    'quarkus.http.access-log.enabled': 'false',
    ...options.properties,
  }
  const settings = Object.entries(properties).map(([name, value]) => `-D${name}=${value}`)
  const jar = join(packages.folder, 'quarkus-run.jar')
  const url = urlAt(port)
  const server = await startOwnServer({
    name: `Apicurio ${VERSION}`,
    command: packages.java,
    args: ['-Xmx256m', '-XX:+UseSerialGC', ...settings, '-jar', jar],
    folder: home,
    log: join(home, 'registry.log'),
    probe: async () => {
      const response = await fetch(`${url}/subjects`, { signal: AbortSignal.timeout(5000) })
      await response.arrayBuffer()
      if (!response.ok) throw new Error(`HTTP ${response.status}`)
    },
    startTimeoutMs: START_TIMEOUT_MS,
    ownerPid: owner.pid,
  })
  return { ...server, url }
}
