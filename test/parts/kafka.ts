import type { Admin } from 'kafkajs'
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { cp, mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { makeOnce, type Missing, mustBeReady, reasonOf } from './cache.ts'
import { composeUp } from './docker.ts'
import { adviceForJava, copyArtifacts, findJava } from './java.ts'
import { freePort, type OwnServer, startOwnServer } from './server.ts'
import { share, thisProcess, type Owner } from './shared.ts'

const VERSION = '4.3.1'
const JAVA_VERSION = 17
const START_TIMEOUT_MS = 90_000

const run = promisify(execFile)

export type SharedKafka = { readonly kind: 'ready'; readonly brokers: string; readonly how: string } | Missing

/**
 * The broker of the whole test run: the one of MILLRACE_KAFKA_BROKERS, else one that is started once and stopped with
 * the run. Tests take topics, groups and transactional ids of their own names, and never stop it.
 */
export async function findKafka(): Promise<SharedKafka> {
  const given = process.env['MILLRACE_KAFKA_BROKERS']
  const part = await share<{ readonly brokers: string }>('kafka', async (owner) => {
    if (given !== undefined) {
      return { kind: 'ready', value: { brokers: given }, how: `MILLRACE_KAFKA_BROKERS=${given}`, pids: [] }
    }
    const container = await composeUp('kafka', owner, (port) => ({ brokers: `127.0.0.1:${port}` }))
    if (container !== undefined) return container
    const packages = await findKafkaPackages()
    if (packages.kind === 'missing') return packages
    const kafka = await startKafka({ owner })
    return {
      kind: 'ready',
      value: { brokers: kafka.brokers },
      how: `Kafka ${VERSION} from its Maven packages at ${kafka.brokers}`,
      pids: [kafka.pid()],
    }
  })
  return mustBeReady(
    part.kind === 'missing' ? part : { kind: 'ready', brokers: part.value.brokers, how: part.how },
  )
}

export type KafkaPackages =
  | { readonly kind: 'ready'; readonly java: string; readonly folder: string }
  | Missing

/** The jars, downloaded once per clone, and a formatted storage folder to start from. */
export async function findKafkaPackages(): Promise<KafkaPackages> {
  const java = findJava(JAVA_VERSION)
  if (java === undefined) return { kind: 'missing', reason: `Kafka: ${adviceForJava(JAVA_VERSION)}` }
  try {
    const folder = await makeOnce(
      `millrace-kafka-${VERSION}`,
      `Kafka ${VERSION} (54 MB from Maven)`,
      async (folder) => {
        const group = 'org.apache.kafka'
        await copyArtifacts(folder, [
          { group, name: 'kafka_2.13', version: VERSION },
          { group, name: 'kafka-tools', version: VERSION },
          { group: 'org.slf4j', name: 'slf4j-simple', version: '1.7.36' },
        ])
        await format({ java, folder }, join(folder, 'storage'), [])
      },
    )
    return { kind: 'ready', java, folder }
  } catch (error) {
    return { kind: 'missing', reason: `Kafka ${VERSION} could not be installed: ${reasonOf(error)}` }
  }
}

/** An endpoint beside the plain one that `brokers` names. */
export interface ExtraListener {
  /** In capitals, for example SECURE. Properties refer to it as `listener.name.secure.…`. */
  readonly name: string
  readonly protocol: 'PLAINTEXT' | 'SSL' | 'SASL_PLAINTEXT' | 'SASL_SSL'
}

export interface ScramUser {
  readonly mechanism: 'SCRAM-SHA-256' | 'SCRAM-SHA-512'
  readonly name: string
  readonly password: string
}

export interface KafkaOptions {
  /** Lines of server.properties that are added to ours, or replace them. */
  readonly properties?: Readonly<Record<string, string>>
  readonly listeners?: readonly ExtraListener[]
  /** Made while the storage is formatted, because the client library cannot make them. */
  readonly scramUsers?: readonly ScramUser[]
  /** Whose end is its end, and where its folder is. This process, and the system's temporary folder. */
  readonly owner?: Owner
}

export interface Kafka extends OwnServer {
  /** host:port of the plain endpoint. The same after a restart. */
  readonly brokers: string
  /** host:port of an extra listener. */
  listener(name: string): string
}

/** A broker of one's own, to do harm to. Throws where the packages cannot be had: ask findKafkaPackages first. */
export async function startKafka(options: KafkaOptions = {}): Promise<Kafka> {
  const packages = await findKafkaPackages()
  if (packages.kind === 'missing') throw new Error(packages.reason)
  const owner = options.owner ?? thisProcess()
  const home = await mkdtemp(join(owner.folder, 'millrace-kafka-'))
  const port = await freePort()
  const controllerPort = await freePort()
  const extra = new Map<string, { protocol: string; port: number }>()
  for (const { name, protocol } of options.listeners ?? [])
    extra.set(name, { protocol, port: await freePort() })

  const config = join(home, 'server.properties')
  await writeFile(
    config,
    toLines({ ...propertiesOf(home, port, controllerPort, extra), ...options.properties }),
  )
  await prepareStorage(packages, join(home, 'data'), options.scramUsers ?? [])
  const server = await startOwnServer({
    name: `Kafka ${VERSION}`,
    command: packages.java,
    args: [...JVM, '-cp', join(packages.folder, 'lib/*'), 'kafka.Kafka', config],
    folder: home,
    log: join(home, 'broker.log'),
    probe: () => probeBroker(port),
    startTimeoutMs: START_TIMEOUT_MS,
    ownerPid: owner.pid,
  })
  return {
    ...server,
    brokers: `127.0.0.1:${port}`,
    listener: (name) => `127.0.0.1:${extra.get(name)!.port}`,
  }
}

/** Small and quick to start. The default heap of Kafka is a gigabyte. */
const JVM = [
  '-Xmx384m',
  '-Xms64m',
  '-XX:+UseSerialGC',
  '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
  '-Dorg.slf4j.simpleLogger.showDateTime=true',
]

function propertiesOf(
  home: string,
  port: number,
  controllerPort: number,
  extra: ReadonlyMap<string, { protocol: string; port: number }>,
): Record<string, string> {
  const endpoints = [...extra].map(([name, { port }]) => `${name}://127.0.0.1:${port}`)
  const protocols = [...extra].map(([name, { protocol }]) => `${name}:${protocol}`)
  const plain = [`PLAINTEXT://127.0.0.1:${port}`, ...endpoints]
  return {
    'process.roles': 'broker,controller',
    'node.id': '1',
    'controller.quorum.voters': `1@127.0.0.1:${controllerPort}`,
    listeners: [...plain, `CONTROLLER://127.0.0.1:${controllerPort}`].join(),
    'advertised.listeners': plain.join(),
    'controller.listener.names': 'CONTROLLER',
    'inter.broker.listener.name': 'PLAINTEXT',
    'listener.security.protocol.map': ['CONTROLLER:PLAINTEXT', 'PLAINTEXT:PLAINTEXT', ...protocols].join(),
    'log.dirs': join(home, 'data'),
    'auto.create.topics.enable': 'false',
    'offsets.topic.replication.factor': '1',
    'offsets.topic.num.partitions': '4',
    'transaction.state.log.replication.factor': '1',
    'transaction.state.log.min.isr': '1',
    'transaction.state.log.num.partitions': '4',
    'group.initial.rebalance.delay.ms': '0',
    // Tests let members and producers die and want to see it soon.
    'group.min.session.timeout.ms': '1000',
    'log.cleaner.dedupe.buffer.size': '16777216',
    'num.network.threads': '2',
    'num.io.threads': '4',
    // A broker that was killed and starts again waits for the end of its former self's session.
    'broker.session.timeout.ms': '3000',
    'broker.heartbeat.interval.ms': '500',
  }
}

const toLines = (properties: Readonly<Record<string, string>>): string =>
  Object.entries(properties)
    .map(([key, value]) => `${key}=${value.replaceAll('\n', ' \\\n')}\n`)
    .join('')

async function prepareStorage(
  packages: { readonly java: string; readonly folder: string },
  data: string,
  users: readonly ScramUser[],
): Promise<void> {
  if (users.length > 0) {
    await format(packages, data, users)
    return
  }
  // Formatting takes a virtual machine two seconds; a copy with an id of its own does as well.
  await cp(join(packages.folder, 'storage'), data, { recursive: true })
  const meta = join(data, 'meta.properties')
  const id = randomBytes(16).toString('base64url')
  await writeFile(meta, (await readFile(meta, 'utf8')).replace(/^cluster\.id=.*$/m, `cluster.id=${id}`))
}

async function format(
  { java, folder }: { readonly java: string; readonly folder: string },
  data: string,
  users: readonly ScramUser[],
): Promise<void> {
  await mkdir(data, { recursive: true })
  const config = `${data}.properties`
  await writeFile(config, toLines({ ...propertiesOf(folder, 1, 2, new Map()), 'log.dirs': data }))
  const scram = users.flatMap(({ mechanism, name, password }) => [
    '--add-scram',
    `${mechanism}=[name=${name},password=${password}]`,
  ])
  const id = randomBytes(16).toString('base64url').replace(/^-/, 'A')
  const tool = ['-cp', join(folder, 'lib/*'), 'kafka.tools.StorageTool', 'format', '-t', id, '-c', config]
  await run(java, [...JVM, ...tool, ...scram], { timeout: START_TIMEOUT_MS })
}

/**
 * Where in a topic the records are that a reader with read_committed gets, as 'partition/offset', by Kafka's own consumer. (kafkajs 2.2 lets aborted records through where
 * transactions interleave: it takes the list of aborted ones to be in the order of their first offsets.)
 */
export async function committedPlaces(brokers: string, topic: string): Promise<ReadonlySet<string>> {
  const packages = await findKafkaPackages()
  if (packages.kind === 'missing') throw new Error(packages.reason)
  const tool = ['-cp', join(packages.folder, 'lib/*'), 'org.apache.kafka.tools.consumer.ConsoleConsumer']
  const from = ['--bootstrap-server', brokers, '--topic', topic, '--from-beginning', '--timeout-ms', '5000']
  const isolation = ['--consumer-property', 'isolation.level=read_committed']
  const shown = ['print.partition=true', 'print.offset=true', 'print.value=false']
  const properties = shown.flatMap((property) => ['--property', property])
  const consumer = [...tool, ...from, ...isolation, ...properties]
  const { stdout } = await run(packages.java, [...JVM, ...consumer], { maxBuffer: 64 * 1024 * 1024 })
  return new Set(
    [...stdout.matchAll(/^Partition:(\d+)\tOffset:(\d+)/gm)].map(
      ([, partition, offset]) => `${partition}/${offset}`,
    ),
  )
}

/** Resolves when the broker answers a Metadata request (version 1, no topics) with itself in it. */
async function probeBroker(port: number): Promise<void> {
  const request = Buffer.alloc(18)
  request.writeInt32BE(14, 0)
  request.writeInt16BE(3, 4) // Metadata
  request.writeInt16BE(1, 6) // version
  request.writeInt32BE(7, 8) // correlation id
  request.writeInt16BE(-1, 12) // no client id
  request.writeInt32BE(0, 14) // no topics
  const answer = await exchange(port, request)
  // Length, correlation id, then the number of brokers.
  if (answer.readInt32BE(8) < 1) throw new Error('the broker knows no broker yet')
}

function exchange(port: number, request: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let answer = Buffer.alloc(0)
    const socket = connect(port, '127.0.0.1', () => socket.write(request))
    socket.setTimeout(5000, () => socket.destroy(new Error('no answer to a Metadata request')))
    socket.on('data', (chunk: Buffer) => {
      answer = Buffer.concat([answer, chunk])
      if (answer.length < 12) return
      resolve(answer)
      socket.destroy()
    })
    socket.once('error', reject)
    socket.once('close', () => reject(new Error('the broker closed the connection')))
  })
}

const LEADERS_TIMEOUT_MS = 20_000

export interface TopicOptions {
  readonly partitions?: number
  readonly config?: Readonly<Record<string, string>>
}

/** Makes a topic and waits for the leaders of its partitions. */
export async function createTopic(
  brokers: string,
  topic: string,
  { partitions = 1, config = {} }: TopicOptions = {},
): Promise<void> {
  // Imported when needed, so that asking for a broker costs no client.
  const { Kafka: Client, logLevel } = await import('kafkajs')
  const client = new Client({ clientId: 'parts', brokers: brokers.split(','), logLevel: logLevel.NOTHING })
  const admin = client.admin()
  await admin.connect()
  try {
    const configEntries = Object.entries(config).map(([name, value]) => ({ name, value }))
    await admin.createTopics({
      topics: [{ topic, numPartitions: partitions, replicationFactor: 1, configEntries }],
      // kafkajs gives up where a broker has not heard of the topic yet.
      waitForLeaders: false,
    })
    await untilLed(admin, topic, partitions)
  } finally {
    await admin.disconnect()
  }
}

async function untilLed(admin: Admin, topic: string, partitions: number): Promise<void> {
  const until = Date.now() + LEADERS_TIMEOUT_MS
  for (;;) {
    try {
      const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
      const led = topics[0]?.partitions.filter(({ leader }) => leader >= 0) ?? []
      if (led.length === partitions) {
        // A leader may be named before it knows that it is one.
        await admin.fetchTopicOffsets(topic)
        return
      }
    } catch (error) {
      if (Date.now() > until) throw error
    }
    await new Promise((resolve) => {
      setTimeout(resolve, 100)
    })
  }
}
