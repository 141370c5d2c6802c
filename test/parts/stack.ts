import { parseArgs } from 'node:util'
import { CreateBucketCommand } from '@aws-sdk/client-s3'
import type { Missing } from './cache.ts'
import { findKafkaPackages, startKafka } from './kafka.ts'
import { findKinesisPackages, startKinesis } from './kinesis.ts'
import { findRegistryPackages, startRegistry } from './registry.ts'
import { findS3Packages, s3Client, startS3 } from './s3.ts'
import type { OwnServer } from './server.ts'

const HELP = `Usage: npm run stack [-- options]

Starts a Kafka broker, a schema registry and an S3 server from their packages, on free ports of this machine's
loopback, prints the environment to export, and stays until Ctrl-C. Needs Java 21 or later, Maven and Python 3; what it
downloads is kept in node_modules/.cache. The data are temporary. With Docker, docker-compose.kafka.yml does the same.

Options:
  --bucket NAME   the bucket to create (default: millrace)
  --kinesis       start a Kinesis stand-in, too
  --help          show this text
`

const say = (line: string): void => console.error(`stack · ${line}`)
const options = readOptions()
const running = new Map<string, OwnServer>()
let stopping: Promise<void> | undefined

function readOptions(): { readonly bucket: string; readonly kinesis: boolean; readonly help: boolean } {
  try {
    return parseArgs({
      options: {
        bucket: { type: 'string', default: 'millrace' },
        kinesis: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    }).values
  } catch (error) {
    say(`${(error as Error).message}\n\n${HELP}`)
    return process.exit(2)
  }
}

async function start<Server extends OwnServer>(
  name: string,
  action: () => Promise<Server>,
  address: (server: Server) => string,
): Promise<Server> {
  const startMs = performance.now()
  const server = await action()
  running.set(name, server)
  say(`${name} at ${address(server)}, after ${((performance.now() - startMs) / 1000).toFixed(1)} s`)
  // It was started while the others were being stopped.
  if (stopping !== undefined) await server.dispose()
  return server
}

/** What cannot be had is said all at once, so that it can be installed all at once. */
async function checkPackages(): Promise<boolean> {
  const checks: (() => Promise<{ readonly kind: 'ready' } | Missing>)[] = [
    findKafkaPackages,
    findRegistryPackages,
    findS3Packages,
    ...(options.kinesis ? [findKinesisPackages] : []),
  ]
  const found = await Promise.all(checks.map((check) => check()))
  const missing = found.filter((part) => part.kind === 'missing')
  for (const { reason } of missing) say(`cannot start: ${reason}`)
  return missing.length === 0
}

async function startAll(): Promise<Readonly<Record<string, string>>> {
  say('starting; this takes about ten seconds …')
  const [kafka, registry, s3, kinesis] = await Promise.all([
    start('Kafka', startKafka, ({ brokers }) => brokers),
    start('registry', startRegistry, ({ url }) => url),
    start('S3', startS3, ({ endpoint }) => endpoint),
    options.kinesis ? start('Kinesis', startKinesis, ({ endpoint }) => endpoint) : undefined,
  ])
  const client = s3Client(s3)
  await client.send(new CreateBucketCommand({ Bucket: options.bucket }))
  client.destroy()
  return {
    MILLRACE_KAFKA_BROKERS: kafka.brokers,
    MILLRACE_REGISTRY_URL: registry.url,
    MILLRACE_S3_ENDPOINT: s3.endpoint,
    MILLRACE_S3_BUCKET: options.bucket,
    AWS_ENDPOINT_URL_S3: s3.endpoint,
    AWS_REGION: s3.region,
    AWS_ACCESS_KEY_ID: s3.accessKeyId,
    AWS_SECRET_ACCESS_KEY: s3.secretAccessKey,
    ...(kinesis === undefined
      ? {}
      : { MILLRACE_KINESIS_ENDPOINT: kinesis.endpoint, AWS_ENDPOINT_URL_KINESIS: kinesis.endpoint }),
  }
}

/** An orderly end; a second Ctrl-C does not wait for it. What is left over then, the guards of the servers remove. */
function stopAll(): Promise<void> {
  if (stopping !== undefined) process.exit(1)
  say('stopping …')
  stopping = Promise.all(
    [...running.values()].map(async (server) => {
      await server.stop()
      await server.dispose()
    }),
  ).then(() => say('all stopped, data removed'))
  return stopping
}

async function main(): Promise<number> {
  if (options.help) {
    console.log(HELP)
    return 0
  }
  if (!(await checkPackages())) {
    say('or use Docker: docker compose -f docker-compose.kafka.yml up -d --wait')
    return 1
  }
  const interrupted = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => {
        resolve()
        void stopAll()
      })
    }
  })
  try {
    const environment = await startAll()
    if (stopping === undefined) {
      for (const [name, value] of Object.entries(environment)) console.log(`export ${name}=${value}`)
      say('ready: paste the lines above into another terminal; Ctrl-C here stops all')
    }
    // A promise alone keeps no process alive.
    const hold = setInterval(() => {}, 60_000)
    await interrupted
    clearInterval(hold)
    await stopping
    return 0
  } catch (error) {
    if (stopping === undefined) {
      say((error as Error).message)
      await stopAll()
      return 1
    }
    await stopping
    return 0
  }
}

process.exitCode = await main()
