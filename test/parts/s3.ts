import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import { type Missing, mustBeReady } from './cache.ts'
import { composeUp } from './docker.ts'
import { makePython } from './python.ts'
import { freePort, type OwnServer, startOwnServer } from './server.ts'
import { share, thisProcess, type Owner } from './shared.ts'

const VERSION = '1.5.33'
const START_TIMEOUT_MS = 60_000
const REGION = 'us-east-1'

/** Where an S3 server is and how to sign. Paths, not host names, carry the bucket. */
export interface S3Address {
  readonly endpoint: string
  readonly region: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
}

export type SharedS3 = ({ readonly kind: 'ready'; readonly how: string } & S3Address) | Missing

/**
 * The S3 server of the whole test run: the one of MILLRACE_S3_ENDPOINT (with AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY
 * and AWS_REGION), else a ministack that is started once and stopped with the run. Each test takes a fresh bucket.
 */
export async function findS3(): Promise<SharedS3> {
  const given = process.env['MILLRACE_S3_ENDPOINT']
  const part = await share<S3Address>('s3', async (owner) => {
    if (given !== undefined) {
      return { kind: 'ready', value: addressFrom(given), how: `MILLRACE_S3_ENDPOINT=${given}`, pids: [] }
    }
    const container = await composeUp('s3', owner, composeAddress)
    if (container !== undefined) return container
    const packages = await findS3Packages()
    if (packages.kind === 'missing') return packages
    const s3 = await startS3({ owner })
    const { endpoint, region, accessKeyId, secretAccessKey } = s3
    return {
      kind: 'ready',
      value: { endpoint, region, accessKeyId, secretAccessKey },
      how: `ministack ${VERSION} from its Python package at ${endpoint}`,
      pids: [s3.pid()],
    }
  })
  return mustBeReady(part.kind === 'missing' ? part : { kind: 'ready', how: part.how, ...part.value })
}

/** The credentials are those of docker-compose.kafka.yml. */
const composeAddress = (port: number): S3Address => ({
  endpoint: `http://127.0.0.1:${port}`,
  region: REGION,
  accessKeyId: 'millrace',
  secretAccessKey: 'millrace-secret',
})

function addressFrom(endpoint: string): S3Address {
  const { AWS_ACCESS_KEY_ID = 'test', AWS_SECRET_ACCESS_KEY = 'test', AWS_REGION = REGION } = process.env
  return {
    endpoint,
    region: AWS_REGION,
    accessKeyId: AWS_ACCESS_KEY_ID,
    secretAccessKey: AWS_SECRET_ACCESS_KEY,
  }
}

export type S3Packages = { readonly kind: 'ready'; readonly command: string } | Missing

/** The server in a Python environment of its own, installed once per clone. */
export async function findS3Packages(): Promise<S3Packages> {
  const python = await makePython('millrace-s3', [`ministack==${VERSION}`])
  if (python.kind === 'missing') return { kind: 'missing', reason: `S3: ${python.reason}` }
  return { kind: 'ready', command: join(dirname(python.executable), 'ministack') }
}

export interface S3 extends OwnServer, S3Address {}

export interface S3Options {
  /**
   * Refuse access keys other than the address's with InvalidAccessKeyId. A wrong secret is not noticed even so. Without
   * it any credentials do.
   */
  readonly auth?: boolean
  /** Whose end is its end, and where its folder is. This process, and the system's temporary folder. */
  readonly owner?: Owner
}

/**
 * An S3 server of one's own. Objects are files, written before the answer, so that they are still there after a kill
 * and a restart; a bucket without objects is not. Throws where the package cannot be had: ask findS3Packages first.
 */
export async function startS3(options: S3Options = {}): Promise<S3> {
  const packages = await findS3Packages()
  if (packages.kind === 'missing') throw new Error(packages.reason)
  const owner = options.owner ?? thisProcess()
  const home = await mkdtemp(join(owner.folder, 'millrace-s3-'))
  for (const name of ['objects', 'state', 'tmp']) await mkdir(join(home, name))
  const port = await freePort()
  const endpoint = `http://127.0.0.1:${port}`
  const accessKeyId = 'test'
  const secretAccessKey = 'test'
  const server = await startOwnServer({
    name: `ministack ${VERSION}`,
    command: packages.command,
    args: [],
    env: {
      BIND_HOST: '127.0.0.1',
      GATEWAY_PORT: String(port),
      MINISTACK_REGION: REGION,
      S3_PERSIST: '1',
      S3_DATA_DIR: join(home, 'objects'),
      STATE_DIR: join(home, 'state'),
      TMPDIR: join(home, 'tmp'),
      LOG_LEVEL: 'WARNING',
      AUTH: String(options.auth ?? false),
      AWS_ACCESS_KEY_ID: accessKeyId,
      AWS_SECRET_ACCESS_KEY: secretAccessKey,
    },
    folder: home,
    log: join(home, 's3.log'),
    probe: async () => {
      // Any answer will do: a server that checks says 403 to a request without a signature.
      await (await fetch(endpoint, { signal: AbortSignal.timeout(5000) })).arrayBuffer()
    },
    startTimeoutMs: START_TIMEOUT_MS,
    ownerPid: owner.pid,
  })
  return { ...server, endpoint, region: REGION, accessKeyId, secretAccessKey }
}

/** A client for tests: path style, no patience. */
export function s3Client({ endpoint, region, accessKeyId, secretAccessKey }: S3Address): S3Client {
  const credentials = { accessKeyId, secretAccessKey }
  return new S3Client({ endpoint, region, credentials, forcePathStyle: true, maxAttempts: 1 })
}

/** Makes a bucket that no other test uses, and gives its name. */
export async function freshBucket(address: S3Address): Promise<string> {
  const name = `test-${randomBytes(6).toString('hex')}`
  const client = s3Client(address)
  try {
    await client.send(new CreateBucketCommand({ Bucket: name }))
  } finally {
    client.destroy()
  }
  return name
}

/** What a program of the AWS SDK, or of Python, must find in its environment to use the server. */
export const s3Environment = (address: S3Address): Record<string, string> => ({
  AWS_ENDPOINT_URL_S3: address.endpoint,
  AWS_REGION: address.region,
  AWS_ACCESS_KEY_ID: address.accessKeyId,
  AWS_SECRET_ACCESS_KEY: address.secretAccessKey,
})
