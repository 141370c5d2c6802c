/**
 * `npm run example:kinesis`: starts a stand-in for Kinesis (kinesis-local, from npm), runs kinesis.ts on a stream of it, splits a shard, publishes the
 * recorded frames, and shows what came of them. Needs nothing but Node and npm; takes about a minute.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { existsSync, rmSync } from 'node:fs'
import { promisify } from 'node:util'
import {
  CreateStreamCommand,
  DescribeStreamSummaryCommand,
  KinesisClient,
  SplitShardCommand,
} from '@aws-sdk/client-kinesis'
import { NodeHttpHandler } from '@smithy/node-http-handler'
import { findKinesisPackages, startKinesis } from '../../test/parts/kinesis.ts'

const OWN_LAKE = './lake-kinesis'
const LAKE = process.env['MILLRACE_LAKE'] ?? OWN_LAKE
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
  if (LAKE !== OWN_LAKE) {
    console.error(
      `millrace · ${LAKE} is there already\n  Name a folder that is not: its stream is gone with the stand-in that it came from.`,
    )
    process.exit(1)
  }
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
  const client = new KinesisClient({
    endpoint: server.endpoint,
    region: env.AWS_REGION,
    credentials: { accessKeyId: 'example', secretAccessKey: 'example' },
    requestHandler: new NodeHttpHandler(),
  })
  say('the stream frames is made, with two shards')
  await client.send(new CreateStreamCommand({ StreamName: 'frames', ShardCount: 2 }))
  await until('the stream is there', () => isActive(client))
  say('the pipeline runs in a process of its own, and stays')
  const worker = start('run', 'examples/lorawan/kinesis.ts')
  await until('the pipeline has begun', async () => (await shardsWithWork()) >= 2)
  say('the second shard is split: its children begin where it has ended')
  await client.send(
    new SplitShardCommand({
      StreamName: 'frames',
      ShardToSplit: 'shardId-000000000001',
      NewStartingHashKey: String((2n ** 128n / 4n) * 3n),
    }),
  )
  client.destroy()
  await until('the children are read', async () => (await shardsWithWork()) >= 4)
  await millrace(
    ...'produce --recording examples/lorawan/frames.avro --stream frames --partitions keep --aggregate'.split(
      ' ',
    ),
  )
  await until('all is published', async () => isReached(await lag()))
  await millrace('lag', '--lake', LAKE)
  say('Ctrl-C: what is open is recorded and published')
  running = null
  worker.kill('SIGINT')
  await new Promise((resolve) => worker.once('exit', resolve))
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

async function isActive(client: KinesisClient): Promise<boolean> {
  const { StreamDescriptionSummary: summary } = await client.send(
    new DescribeStreamSummaryCommand({ StreamName: 'frames' }),
  )
  return summary?.StreamStatus === 'ACTIVE'
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

/** What of `millrace lag --json` is looked at. */
interface Lag {
  readonly partitions: readonly { readonly recordedAt: string | null }[]
  readonly merges: readonly { readonly epochsToFold: number; readonly unpublishedEpochs: number }[]
  readonly lagRecords: number
  readonly lagMs: number
}

/** Null where there is no lake yet. */
async function lag(): Promise<Lag | null> {
  try {
    const args = ['bin/millrace.js', 'lag', '--lake', LAKE, '--json']
    return JSON.parse((await execute(process.execPath, args, { env })).stdout) as Lag
  } catch {
    return null
  }
}

async function shardsWithWork(): Promise<number> {
  const { partitions = [] } = (await lag()) ?? {}
  return partitions.filter(({ recordedAt }) => recordedAt !== null).length
}

function isReached(report: Lag | null): boolean {
  if (report === null || report.lagRecords > 0 || report.lagMs > 0) return false
  return report.merges.every((merge) => merge.epochsToFold === 0 && merge.unpublishedEpochs === 0)
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
