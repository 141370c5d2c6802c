import { execFile } from 'node:child_process'
import { mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { makeOnce, type Missing, mustBeReady, reasonOf } from './cache.ts'
import { freePort, type OwnServer, startOwnServer } from './server.ts'
import { type Owner, share, thisProcess } from './shared.ts'

const VERSION = '0.6.2'
const INSTALL_TIMEOUT_MS = 300_000
const START_TIMEOUT_MS = 60_000

const run = promisify(execFile)

export type KinesisPackages = { readonly kind: 'ready'; readonly folder: string } | Missing

/** kinesis-local, which is as large as all our packages together: installed when somebody asks for it. */
export async function findKinesisPackages(): Promise<KinesisPackages> {
  try {
    const what = `kinesis-local ${VERSION} from npm`
    const folder = await makeOnce(`millrace-kinesis-${VERSION}`, what, async (folder) => {
      const args = ['install', '--prefix', folder, '--no-audit', '--no-fund', `kinesis-local@${VERSION}`]
      await run('npm', args, { timeout: INSTALL_TIMEOUT_MS, cwd: folder })
    })
    return { kind: 'ready', folder: join(folder, 'node_modules/kinesis-local') }
  } catch (error) {
    return { kind: 'missing', reason: `kinesis-local ${VERSION} could not be installed: ${reasonOf(error)}` }
  }
}

export type SharedKinesis =
  | { readonly kind: 'ready'; readonly how: string; readonly endpoint: string }
  | Missing

/**
 * The Kinesis stand-in of the whole test run: the one of MILLRACE_KINESIS_ENDPOINT, else a kinesis-local that is started once and stopped with the run. Each test takes a
 * fresh stream. Any credentials will do.
 */
export async function findKinesis(): Promise<SharedKinesis> {
  const given = process.env['MILLRACE_KINESIS_ENDPOINT']
  const part = await share<string>('kinesis', async (owner) => {
    if (given !== undefined) {
      return { kind: 'ready', value: given, how: `MILLRACE_KINESIS_ENDPOINT=${given}`, pids: [] }
    }
    const packages = await findKinesisPackages()
    if (packages.kind === 'missing') return packages
    const kinesis = await startKinesis(owner)
    return {
      kind: 'ready',
      value: kinesis.endpoint,
      how: `kinesis-local ${VERSION} from its npm package at ${kinesis.endpoint}`,
      pids: [kinesis.pid()],
    }
  })
  return mustBeReady(part.kind === 'missing' ? part : { kind: 'ready', how: part.how, endpoint: part.value })
}

/** What a client of the tests is given. */
export const KINESIS_CREDENTIALS = { accessKeyId: 'test', secretAccessKey: 'test' }

export interface Kinesis extends OwnServer {
  readonly endpoint: string
}

/** A Kinesis stand-in of one's own. Its streams are in memory: a restart forgets them. */
export async function startKinesis(owner: Owner = thisProcess()): Promise<Kinesis> {
  const packages = await findKinesisPackages()
  if (packages.kind === 'missing') throw new Error(packages.reason)
  const port = await freePort()
  const tlsPort = await freePort()
  const endpoint = `http://127.0.0.1:${port}`
  const home = await mkdtemp(join(owner.folder, 'millrace-kinesis-'))
  const server = await startOwnServer({
    name: `kinesis-local ${VERSION}`,
    command: process.execPath,
    args: ['--require', join(import.meta.dirname, 'loopback.cjs'), join(packages.folder, 'main.js')],
    env: {
      KINESIS_MOCK_PLAIN_PORT: String(port),
      KINESIS_MOCK_TLS_PORT: String(tlsPort),
      KINESIS_MOCK_CERT_PATH: join(packages.folder, 'server.json'),
      LOG_LEVEL: 'WARN',
      // Of an account: tests leave their streams behind.
      SHARD_LIMIT: '100000',
      ON_DEMAND_STREAM_COUNT_LIMIT: '1000',
    },
    folder: home,
    log: join(home, 'kinesis.log'),
    probe: async () => {
      const response = await fetch(`${endpoint}/healthcheck`, { signal: AbortSignal.timeout(5000) })
      await response.arrayBuffer()
      if (!response.ok) throw new Error(`HTTP ${response.status}`)
    },
    startTimeoutMs: START_TIMEOUT_MS,
    ownerPid: owner.pid,
  })
  return { ...server, endpoint }
}
