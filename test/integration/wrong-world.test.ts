import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import kafkajs, { type Admin } from 'kafkajs'
import { afterAll, beforeAll, describe, expect, it, type TestContext } from 'vitest'
import { confluentRegistry } from '../../consumers/registry/index.ts'
import { createProducer } from '../../src/producer/index.ts'
import { CLI_ENV } from '../cli/run-cli.ts'
import { mustBeReady } from '../parts/cache.ts'
import { createTopic, findKafkaPackages, type Kafka, startKafka } from '../parts/kafka.ts'
import { findRegistryPackages, type Registry, startRegistry } from '../parts/registry.ts'
import { findS3Packages, freshBucket, type S3, s3Environment, startS3 } from '../parts/s3.ts'
import { type FaultProxy, s3ErrorBody, startFaultProxy } from '../support/fault-proxy.ts'
import { READING, READING_SCHEMA } from './wrong-world/sensors.ts'

const { AclOperationTypes: May, AclPermissionTypes, AclResourceTypes: Of, ResourcePatternTypes } = kafkajs

/** Nobody listens there. */
const NOWHERE = '127.0.0.1:9'
const TOPIC = 'readings'
/** What a process may say before it gives up, however long it has tried. */
const LOG_LINES_MAX = 12

let missing: string | null = null
let broker: Kafka
let registry: Registry
let store: S3
let bucket = ''
/** In front of the store and of the registry. */
let storeProxy: FaultProxy
let registryProxy: FaultProxy
let admin: Admin

beforeAll(async () => {
  for (const part of [await findKafkaPackages(), await findRegistryPackages(), await findS3Packages()]) {
    const ready = mustBeReady(part)
    if (ready.kind === 'missing') missing = ready.reason
  }
  if (missing !== null) return
  const login = 'org.apache.kafka.common.security.plain.PlainLoginModule required'
  ;[broker, registry, store] = await Promise.all([
    startKafka({
      listeners: [{ name: 'SECURE', protocol: 'SASL_PLAINTEXT' }],
      properties: {
        'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
        'super.users': 'User:ANONYMOUS;User:operator',
        'listener.name.secure.sasl.enabled.mechanisms': 'PLAIN',
        'listener.name.secure.plain.sasl.jaas.config': `${login} user_operator="right" user_reader="right";`,
      },
    }),
    startRegistry(),
    startS3({ auth: true }),
  ])
  bucket = await freshBucket(store)
  storeProxy = await startFaultProxy(store.endpoint)
  registryProxy = await startFaultProxy(new URL(registry.url).origin)
  admin = new kafkajs.Kafka({ brokers: [broker.brokers], logLevel: kafkajs.logLevel.NOTHING }).admin()
  await admin.connect()
  await topicWith(10, TOPIC)
  await allowReading(TOPIC)
}, 300_000)

afterAll(async () => {
  await admin?.disconnect()
  await Promise.all([storeProxy?.close(), registryProxy?.close()])
  await Promise.all([broker?.dispose(), registry?.dispose(), store?.dispose()])
})

type WorldTest = (context: TestContext) => Promise<void>

/** Skips, with the reason, where the servers cannot be had. */
function world(test: () => Promise<void>): WorldTest {
  return async ({ skip }) => {
    if (missing === null) await test()
    else skip(missing)
  }
}

describe('a start in a wrong world', () => {
  interface Wrong {
    readonly what: string
    readonly env: () => Environment
    readonly code: string
    readonly says: RegExp
    readonly advises: RegExp
  }
  const wrongs: readonly Wrong[] = [
    {
      what: 'the address of the broker',
      env: () => ({ BROKERS: NOWHERE }),
      code: 'KAFKA_UNREACHABLE',
      says: /cannot reach Kafka at 127\.0\.0\.1:9: Connection error/,
      advises: /Check that the brokers run/,
    },
    {
      what: 'the password',
      env: () => ({ ...secure('operator'), KAFKA_PASSWORD: 'wrong' }),
      code: 'KAFKA_AUTHENTICATION',
      says: /Authentication failed/,
      advises: /user name and password/,
    },
    {
      what: 'no password where one is wanted',
      env: () => ({ BROKERS: broker.listener('SECURE') }),
      code: 'KAFKA_UNREACHABLE',
      says: /Closed connection/,
      advises: /`tls` and `sasl`/,
    },
    {
      what: 'the topic',
      env: () => ({ TOPIC: 'no-such-topic' }),
      code: 'TOPIC_NOT_FOUND',
      says: /no-such-topic/,
      advises: /kafka-topics --bootstrap-server/,
    },
    {
      what: 'the dead-letter topic',
      env: () => ({ DEAD_LETTERS: 'no-such-topic' }),
      code: 'TOPIC_NOT_FOUND',
      says: /no-such-topic/,
      advises: /createTopics/,
    },
    {
      what: 'the rights on the output topic',
      env: () => ({ ...secure('reader'), RESULTS: TOPIC }),
      code: 'TOPIC_FORBIDDEN',
      says: /may not write to the topic readings/,
      advises: /ACL/,
    },
    {
      what: 'the rights of the consumer group',
      env: () => ({ ...secure('reader') }),
      code: 'KAFKA_AUTHORIZATION',
      says: /group/,
      advises: /ACL/,
    },
    {
      what: 'the bucket',
      env: () => ({ BUCKET: 'no-such-bucket' }),
      code: 'BUCKET_NOT_FOUND',
      says: /no-such-bucket/,
      advises: /Make the bucket/,
    },
    {
      what: 'the access key',
      env: () => ({ AWS_ACCESS_KEY_ID: 'unknown' }),
      code: 'CREDENTIALS_INVALID',
      says: /InvalidAccessKeyId/,
      advises: /AWS_ACCESS_KEY_ID/,
    },
    {
      what: 'the right to write',
      env: () => {
        storeProxy.plan(({ method }) =>
          method === 'PUT'
            ? { kind: 'answer', status: 403, body: s3ErrorBody('AccessDenied', 'Access Denied') }
            : null,
        )
        return { AWS_ENDPOINT_URL_S3: storeProxy.url }
      },
      code: 'STORE_FORBIDDEN',
      says: /s3:PutObject/,
      advises: /Allow s3:PutObject on arn:aws:s3:::[\w-]+\/wrong\/\*;/,
    },
    {
      what: 'a store that does not look at If-None-Match',
      env: () => {
        storeProxy.plan(() => ({ kind: 'drop-header', name: 'if-none-match' }))
        return { AWS_ENDPOINT_URL_S3: storeProxy.url }
      },
      code: 'STORE_NOT_CONDITIONAL',
      says: /If-None-Match/,
      advises: /another store/,
    },
    {
      what: 'the address of the store',
      env: () => ({ AWS_ENDPOINT_URL_S3: `http://no-such-host.invalid:9000` }),
      code: 'STORE_UNREACHABLE',
      says: /no-such-host/,
      advises: /AWS_ENDPOINT_URL_S3/,
    },
    {
      what: 'an option',
      env: () => ({ FLUSH_MS: '0' }),
      code: 'OPTION_INVALID',
      says: /flush\.every is 0/,
      advises: /./,
    },
  ]

  it.for(wrongs)(
    'ends with a sentence and an advice: $what',
    async ({ env, code, says, advises }, { skip }) => {
      if (missing !== null) skip(missing)
      const ended = await start('wrong', env()).ended
      expectFailure(ended, code, says, advises)
    },
  )

  it(
    'waits for a store that is not there yet, and may be told not to',
    world(async () => {
      const waiting = start('early', { AWS_ENDPOINT_URL_S3: `http://${NOWHERE}` })
      const line = await waiting.logged('warn', /ECONNREFUSED/)
      expect(JSON.parse(line)).toMatchObject({
        advice: expect.stringContaining('AWS_ENDPOINT_URL_S3') as string,
      })
      waiting.signal('SIGINT')
      expect(await waiting.ended).toMatchObject({ code: 130 })
    }),
  )
})

describe('a world that changes between two starts', () => {
  it(
    'refuses a topic whose records were deleted before they were read, and goes on without them when told to',
    world(async () => {
      const topic = await topicWith(10, 'expired')
      expect(await start('expired', { TOPIC: topic, RECORDS: '10' }).ended).toMatchObject({ code: 0 })
      await produce(topic, 10)
      // kafkajs must have seen the topic before.
      await admin.fetchTopicOffsets(topic)
      await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '17' }] })

      const refused = await start('expired', { TOPIC: topic }).ended
      expectFailure(refused, 'POSITION_EXPIRED', /7 offsets are gone/, /--accept-loss/)

      const accepted = await start('expired', { TOPIC: topic, RECORDS: '3' }, ['--accept-loss']).ended
      expect(accepted).toMatchObject({ code: 0 })
      expect(linesOf(accepted, 'warn')).toMatchObject([{ lost: 7, partition: 'expired-0' }])
      expect(JSON.parse(accepted.out)).toMatchObject({ rows: { 'bronze/readings': 13 } })
    }),
  )

  it(
    'refuses a topic that was deleted and created again',
    world(async () => {
      const topic = await topicWith(10, 'again')
      expect(await start('again', { TOPIC: topic, RECORDS: '10' }).ended).toMatchObject({ code: 0 })
      await admin.deleteTopics({ topics: [topic] })
      await createTopic(broker.brokers, topic)
      await produce(topic, 10)
      const refused = await start('again', { TOPIC: topic }).ended
      expectFailure(refused, 'TOPIC_RECREATED', /deleted and created again/, /--fresh/)
    }),
  )

  it(
    'refuses a registry that has another schema under an id',
    world(async () => {
      const topic = await topicWith(10, 'reused')
      expect(await start('reused', { TOPIC: topic, RECORDS: '10' }).ended).toMatchObject({ code: 0 })
      const other = {
        ...READING_SCHEMA,
        fields: [...READING_SCHEMA.fields, { name: 'room', type: 'string' }],
      }
      const body = JSON.stringify({ schema: JSON.stringify(other) })
      registryProxy.plan(({ url }) =>
        url.includes('/schemas/ids/') ? { kind: 'answer', status: 200, body } : null,
      )
      await produce(topic, 2)
      const refused = await start('reused', { TOPIC: topic, REGISTRY: proxiedRegistry() }).ended
      expectFailure(refused, 'SCHEMA_ID_REUSED', /Reading \(sensor, at, room\)/, /registry was reset/)
    }),
  )
})

describe('a server that is away', () => {
  it(
    'holds the input back while the registry is away, and says what it waits for',
    world(async () => {
      registryProxy.plan(() => ({ kind: 'answer', status: 503 }))
      const waiting = start('held', { REGISTRY: proxiedRegistry(), RECORDS: '10' })
      const line = await waiting.logged('warn', /the schema registry answers 503/)
      expect(JSON.parse(line)).toMatchObject({ operation: `schema 1 from ${proxiedRegistry()}` })
      registryProxy.plan(() => null)
      const ended = await waiting.ended
      expect(ended.code).toBe(0)
      expect(JSON.parse(ended.out)).toMatchObject({ rows: { 'bronze/readings': 10, dead_letters: 0 } })
      // What an operator finds in the log of a run, whatever becomes of it.
      const lines = linesOf(ended, 'info').filter(({ msg }) => msg !== 'progress')
      expect(lines).toMatchObject([
        {
          msg: 'run started',
          pipeline: 'held',
          source: `readings at ${broker.brokers}`,
          member: 'group held',
        },
        { msg: 'the group has assigned tasks', tasks: ['readings-0', 'merge-0'] },
        { msg: 'took over tasks', tasks: { 'readings-0': 'new', 'merge-0': 'epoch 0' } },
        { msg: `schema 1 from ${proxiedRegistry()} works again` },
        { msg: 'left the group' },
        { msg: 'run ended', outcome: 'stopped', records: 10, rowsAdded: { 'bronze/readings': 10 } },
      ])
    }),
  )

  it(
    'ends when it is asked to while the registry is away, and decides nothing about what it could not read',
    world(async () => {
      registryProxy.plan(() => ({ kind: 'answer', status: 503 }))
      const waiting = start('terminated', { REGISTRY: proxiedRegistry() })
      await waiting.logged('warn', /the schema registry answers 503/)
      waiting.signal('SIGTERM')
      const ended = await waiting.ended
      expect(ended.err).toMatch(/^Stopping: /m)
      expect(ended.code).toBe(143)
      expect(JSON.parse(ended.out)).toMatchObject({ rows: { 'bronze/readings': 0, dead_letters: 0 } })
    }),
  )

  it(
    'ends within its limit while the store hangs, and publishes the rest when it is started again',
    world(async () => {
      const stuck = start('stuck', { STOP_SECONDS: '1', FLUSH_MS: '600000', TELLS: '1' })
      await stuck.logged('info', /read 10/)
      store.pause()
      stuck.signal('SIGTERM')
      const ended = await stuck.ended
      store.resume()
      const error = ended.err.slice(ended.err.indexOf('error '))
      expect(error).toMatch(
        /^error STOP_OVERDUE: not everything was published 1 s after the stop\n→ Nothing is lost/,
      )
      expect(ended.code).toBe(1)
      const next = await start('stuck', { RECORDS: '10' }).ended
      expect(JSON.parse(next.out)).toMatchObject({ rows: { 'bronze/readings': 10 } })
    }),
  )

  // The last one: the broker takes its time to come back.
  it(
    'ends when it is asked to while the broker is away, and loses nothing',
    world(async () => {
      const interrupted = start('away', {})
      await interrupted.logged('info', /assigned tasks/)
      await broker.kill()
      interrupted.signal('SIGINT')
      const ended = await interrupted.ended
      expect(ended.err).toMatch(/^Stopping: /m)
      expect(ended.code).toBe(130)
      const before = (JSON.parse(ended.out) as { records: number }).records
      await broker.restart()
      const rest = String(10 - before)
      // With all of them published before, there is none to wait for.
      if (rest === '0') return
      const next = await start('away', { RECORDS: rest }).ended
      expect(next.code).toBe(0)
      expect(JSON.parse(next.out)).toMatchObject({ rows: { 'bronze/readings': 10 } })
    }),
  )
})

// ------------------------------------------------------------------------------------------- processes

type Environment = Readonly<Record<string, string>>

interface Ended {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

interface Started {
  readonly ended: Promise<Ended>
  signal(name: NodeJS.Signals): void
  /** Resolves with the first line of the log at this level that says this; rejects where the process ends without it. */
  logged(level: string, says: RegExp): Promise<string>
}

/** `millrace run main.ts` as a process whose output is piped, in a right world but for what `env` says. */
function start(name: string, env: Environment, args: readonly string[] = []): Started {
  const command = fileURLToPath(new URL('../cli/from-source.ts', import.meta.url))
  const main = fileURLToPath(new URL('./wrong-world/main.ts', import.meta.url))
  const child = spawn(process.execPath, [command, 'run', main, ...args], {
    env: {
      ...CLI_ENV,
      ...s3Environment(store),
      BROKERS: broker.brokers,
      REGISTRY: registry.url,
      BUCKET: bucket,
      NAME: name,
      TOPIC,
      ...env,
    },
  })
  let out = ''
  let err = ''
  const looks = new Set<() => void>()
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    err += text
    for (const look of looks) look()
  })
  const ended = new Promise<Ended>((resolve) => {
    child.on('close', (code) => resolve({ code, out, err }))
  })
  return {
    ended,
    signal: (name) => void child.kill(name),
    logged: (level, says) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          const line = err.split('\n').find((text) => text.includes(`"level":"${level}"`) && says.test(text))
          if (line !== undefined) resolve(line)
        }
        looks.add(look)
        look()
        void ended.then(() => reject(new Error(`it ended without saying so:\n${err}`)))
      }),
  }
}

function linesOf({ err }: Ended, level: string): readonly { readonly msg: string }[] {
  return err
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as { level: string; msg: string })
    .filter((line) => line.level === level)
}

/** Two lines for a person below a log of a few lines; no stack. */
function expectFailure(ended: Ended, code: string, says: RegExp, advises: RegExp): void {
  const lines = ended.err.trimEnd().split('\n')
  const log = lines.filter((line) => line.startsWith('{'))
  const shown = lines.filter((line) => !line.startsWith('{'))
  expect(shown).toHaveLength(2)
  const [failure = '', advice = ''] = shown
  expect(failure).toMatch(new RegExp(`^error ${code}: `))
  expect(failure).toMatch(says)
  expect(advice).toMatch(/^→ /)
  expect(advice).toMatch(advises)
  expect(log.length).toBeLessThanOrEqual(LOG_LINES_MAX)
  expect(ended.err).not.toMatch(/^\s+at /m)
  expect(ended.out).toBe('')
  expect(ended.code).toBe(code === 'OPTION_INVALID' ? 2 : 1)
}

// ------------------------------------------------------------------------------------------- servers

function secure(user: string): Environment {
  return { BROKERS: broker.listener('SECURE'), KAFKA_USER: user, KAFKA_PASSWORD: 'right' }
}

function proxiedRegistry(): string {
  return `${registryProxy.url}${new URL(registry.url).pathname}`
}

async function produce(topic: string, count: number): Promise<void> {
  const producer = await createProducer({
    brokers: [broker.brokers],
    topic,
    schema: READING,
    registry: confluentRegistry({ url: registry.url }),
  })
  const readings = Array.from({ length: count }, (_, n) => ({
    sensor: `sensor-${n % 3}`,
    at: Date.now() + n,
  }))
  await producer.send(readings, { key: null })
  await producer.close()
}

async function topicWith(count: number, topic: string): Promise<string> {
  await createTopic(broker.brokers, topic)
  await produce(topic, count)
  return topic
}

async function allowReading(topic: string): Promise<void> {
  const acl = [May.READ, May.DESCRIBE].map((operation) => ({
    resourceType: Of.TOPIC,
    resourceName: topic,
    resourcePatternType: ResourcePatternTypes.LITERAL,
    principal: 'User:reader',
    host: '*',
    operation,
    permissionType: AclPermissionTypes.ALLOW,
  }))
  await admin.createAcls({ acl })
}
