/**
 * `npm run example:kinesis`: starts a stand-in for Kinesis (kinesis-local, from npm), publishes the recorded frames to a stream of it, runs kinesis.ts until it has
 * all of them, splits a shard on the way, and shows what came of it. Needs nothing but Node and npm; takes about a minute.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { existsSync, rmSync } from 'node:fs'
import { promisify } from 'node:util'
import { KinesisClient, SplitShardCommand } from '@aws-sdk/client-kinesis'
import { NodeHttpHandler } from '@smithy/node-http-handler'
import { findKinesisPackages, startKinesis } from '../../test/parts/kinesis.ts'

const LAKE = './lake-kinesis'
const WITHIN_MS = 240_000

const execute = promisify(execFile)
const say = (text: string): void => console.log(`\n# ${text}`)
let running: ChildProcess | null = null

const packages = await findKinesisPackages()
if (packages.kind === 'missing') {
  console.error(
    `millrace · ${packages.reason}\n  It is installed with npm the first time: check the network, and try again.`,
  )
  process.exit(1)
}
if (existsSync(LAKE)) {
  say(`${LAKE} is of an earlier run, and its stream is gone with the stand-in: it begins again`)
  for (const folder of [LAKE, `${LAKE}-schemas`]) rmSync(folder, { recursive: true, force: true })
}
const server = await startKinesis()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void end(130))
const env = {
  ...process.env,
  MILLRACE_KINESIS_ENDPOINT: server.endpoint,
  MILLRACE_LAKE: LAKE,
  AWS_REGION: 'us-east-1',
  AWS_ACCESS_KEY_ID: 'example',
  AWS_SECRET_ACCESS_KEY: 'example',
  MILLRACE_LOG_LEVEL: process.env['MILLRACE_LOG_LEVEL'] ?? 'warn',
}
say(`a stand-in for Kinesis is at ${server.endpoint}`)
try {
  await demonstrate()
  await end(0)
} catch (error) {
  console.error(`millrace · ${error instanceof Error ? error.message : String(error)}`)
  await end(1)
}

async function demonstrate(): Promise<void> {
  const publishing = millrace(
    ...'produce --recording examples/lorawan/frames.avro --stream frames --create-stream --shards 3'.split(
      ' ',
    ),
    ...'--partitions keep --aggregate'.split(' '),
  )
  say('the pipeline runs in a process of its own, and stays')
  const worker = start('run', 'examples/lorawan/kinesis.ts')
  await until('the pipeline has begun', async () => (await lag()).partitions.length >= 3)
  say('a shard is split while its records are read')
  await splitShard('shardId-000000000000')
  await publishing
  await until('all is published', async () => (await lag()).isReached)
  await millrace('lag', '--lake', LAKE)
  say('Ctrl-C: what is open is recorded and published')
  worker.kill('SIGINT')
  await new Promise((resolve) => worker.once('exit', resolve))
  running = null
  await millrace('tables', '--lake', LAKE)
  await millrace(
    'query',
    '--lake',
    LAKE,
    'select _partition shard, count(*) reports, min(_offset) first_offset, max(_offset) last_offset from bronze.frames group by all order by 1',
  )
  await millrace(
    'query',
    '--lake',
    LAKE,
    'select devEui, sum(frames) frames, round(sum(avgRssi * frames) / sum(frames), 1) rssi from gold.device_hours group by devEui order by frames desc limit 5',
  )
}

/** A command as a user would type it, with what it prints. */
function millrace(...args: readonly string[]): Promise<void> {
  say(`millrace ${args.map((arg) => (/\s/.test(arg) ? `"${arg}"` : arg)).join(' ')}`)
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['bin/millrace.js', ...args], { stdio: 'inherit', env })
    child.once('error', reject)
    child.once('exit', (code) =>
      code === 0 ? resolve() : reject(new Error(`millrace ${args[0]} ended with ${code}`)),
    )
  })
}

function start(...args: readonly string[]): ChildProcess {
  const child = spawn(process.execPath, ['bin/millrace.js', ...args], { stdio: 'inherit', env })
  child.once('exit', (code) => {
    if (running === child && code !== 0) {
      console.error(`millrace · the pipeline has ended with ${code}`)
      void end(1)
    }
  })
  running = child
  return child
}

interface Lag {
  readonly partitions: readonly unknown[]
  readonly isReached: boolean
}

async function lag(): Promise<Lag> {
  try {
    const { stdout } = await execute(process.execPath, ['bin/millrace.js', 'lag', '--lake', LAKE, '--json'], {
      env,
    })
    const report = JSON.parse(stdout) as {
      readonly partitions: readonly unknown[]
      readonly lagRecords: number
      readonly lagMs: number
    }
    return { partitions: report.partitions, isReached: report.lagRecords === 0 && report.lagMs === 0 }
  } catch {
    // There is no lake yet.
    return { partitions: [], isReached: false }
  }
}

async function splitShard(shardId: string): Promise<void> {
  const client = new KinesisClient({
    endpoint: server.endpoint,
    region: env.AWS_REGION,
    credentials: { accessKeyId: 'example', secretAccessKey: 'example' },
    requestHandler: new NodeHttpHandler(),
  })
  const thirdOfKeys = 2n ** 128n / 3n
  await client.send(
    new SplitShardCommand({
      StreamName: 'frames',
      ShardToSplit: shardId,
      NewStartingHashKey: String(thirdOfKeys / 2n),
    }),
  )
  client.destroy()
}

async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const untilMs = performance.now() + WITHIN_MS
  while (!(await isSo())) {
    if (performance.now() > untilMs) throw new Error(`${what}: not within ${WITHIN_MS / 1000} s`)
    await new Promise((resolve) => setTimeout(resolve, 500))
  }
}

async function end(code: number): Promise<never> {
  const child = running
  running = null
  if (child !== null && child.exitCode === null) child.kill('SIGKILL')
  await server.dispose()
  process.exit(code)
}
