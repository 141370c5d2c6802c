import { randomBytes } from 'node:crypto'
import kafkajs, { type Kafka } from 'kafkajs'
import { body, KafkaClient, type KafkaWorld, type RawRequest } from '../../../src/kafka/client.ts'
import { WireReader } from '../../../src/kafka/wire.ts'
import { KafkaOutbox } from '../../../sinks/topic/kafka-outbox.ts'
import { resolveTopicOptions } from '../../../sinks/topic/outbox-options.ts'
import { encodeUtf8 } from '../../../src/columns/utf8.ts'
import { identityHeaders, textHeader } from '../../../src/engine/message-identity.ts'
import type { OutboxEpoch, OutboxMessage, OutboxTask, SourceWorld } from '../../../src/ports.ts'
import { systemClock, systemEntropy } from '../../../src/runtime/system.ts'

const SILENT = { debug() {}, info() {}, warn() {}, error() {}, child: () => SILENT }
export const WORLD: SourceWorld = {
  clock: systemClock,
  entropy: systemEntropy,
  log: SILENT,
  acceptLoss: false,
}

export const uniqueName = (prefix: string): string => `${prefix}-${randomBytes(4).toString('hex')}`

export function kafkaOf(brokers: string): Kafka {
  return new kafkajs.Kafka({
    clientId: 'outbox-test',
    brokers: [brokers],
    logLevel: kafkajs.logLevel.NOTHING,
    retry: { retries: 10, initialRetryTime: 50 },
  })
}

export interface OutboxOptions {
  readonly transactionTimeoutMs?: number
  readonly createTopics?: { readonly partitions: number; readonly replicationFactor: number }
  readonly requestTimeoutMs?: number
  readonly kind?: 'out' | 'dlq'
  readonly client?: KafkaClient
}

export function newOutbox(brokers: string, options: OutboxOptions = {}): KafkaOutbox {
  const { kind = 'dlq', client, ...rest } = options
  const kafka = { brokers: [brokers], ...rest }
  const resolved = resolveTopicOptions({ ...kafka })
  return new KafkaOutbox({ ...resolved, kafka, registry: null, world: WORLD, kind }, client)
}

export async function openOutbox(
  brokers: string,
  topics: readonly string[],
  options: OutboxOptions = {},
): Promise<KafkaOutbox> {
  const outbox = newOutbox(brokers, options)
  await outbox.open(topics, [])
  return outbox
}

export interface Owner {
  readonly pipeline: string
  readonly task: string
}

export const newOwner = (): Owner => ({
  pipeline: uniqueName('p').replaceAll('-', '_'),
  task: 'trips-3',
})

export function epochOf(
  { pipeline, task }: Owner,
  topic: string,
  epoch: number,
  values: readonly (string | null)[],
  more: Partial<OutboxEpoch> = {},
): OutboxEpoch {
  const incarnation = 1
  const life = more.life ?? 'life1'
  const headersOf = identityHeaders({ pipeline, incarnation, life, task, epoch })
  const messages = values.map(
    (value, index): OutboxMessage => ({
      topic,
      key: encodeUtf8(`key ${value}`),
      value: value === null ? null : encodeUtf8(value),
      headers: [textHeader('from', 'test'), ...headersOf(index)],
    }),
  )
  return { incarnation, life, epoch, messages, groupOffset: null, ...more }
}

/** The code of what a promise was rejected with; 'resolved' where it was not. */
export async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise
    return 'resolved'
  } catch (error) {
    return (error as { code?: string }).code ?? String(error)
  }
}

export interface ReadMessage {
  readonly partition: number
  readonly offset: number
  readonly key: string | null
  readonly value: string | null
  readonly rawValue: Buffer | null
  readonly headers: Readonly<Record<string, string>>
}

/**
 * What a kafkajs consumer with `read_committed` sees in a topic now: it reads up to a message of its own that it sends to each partition.
 */
export async function readCommitted(brokers: string, topic: string): Promise<readonly ReadMessage[]> {
  const kafka = kafkaOf(brokers)
  const end = uniqueName('end')
  const producer = kafka.producer()
  const admin = kafka.admin()
  const consumer = kafka.consumer({
    groupId: uniqueName('reader'),
    readUncommitted: false,
    maxWaitTimeInMs: 100,
  })
  const messages: ReadMessage[] = []
  try {
    await Promise.all([producer.connect(), admin.connect(), consumer.connect()])
    const [metadata] = (await admin.fetchTopicMetadata({ topics: [topic] })).topics
    const partitions = metadata!.partitions.map(({ partitionId }) => partitionId)
    await producer.send({
      topic,
      messages: partitions.map((partition) => ({ partition, key: end, value: end })),
    })
    await consumer.subscribe({ topic, fromBeginning: true })
    const open = new Set(partitions)
    await new Promise<void>((resolve, reject) => {
      consumer.on('consumer.crash', ({ payload }) => reject(payload.error))
      void consumer.run({
        eachMessage: async ({ partition, message }) => {
          const key = message.key?.toString() ?? null
          if (key === end) open.delete(partition)
          else if (!key?.startsWith('end-')) {
            messages.push({
              partition,
              offset: Number(message.offset),
              key,
              value: message.value?.toString() ?? null,
              rawValue: message.value,
              headers: Object.fromEntries(
                Object.entries(message.headers ?? {}).map(([name, value]) => [name, String(value)]),
              ),
            })
          }
          if (open.size === 0) resolve()
        },
      })
    })
  } finally {
    await Promise.all([producer.disconnect(), admin.disconnect(), consumer.disconnect()])
  }
  return messages
}

/** An order for texts and null. */
export function byText(a: unknown, b: unknown): number {
  return String(a) < String(b) ? -1 : 1
}

export async function valuesIn(brokers: string, topic: string): Promise<readonly (string | null)[]> {
  return (await readCommitted(brokers, topic)).map(({ value }) => value).toSorted(byText)
}

type Hook = (request: RawRequest<unknown>, send: () => Promise<unknown>) => Promise<unknown>

/** A client that lets a test stand between an outbox and its brokers. */
export class HookedClient extends KafkaClient {
  hook: Hook = (_request, send) => send()

  constructor(brokers: string, requestTimeoutMs = 30_000, world: KafkaWorld = WORLD) {
    super({ brokers: [brokers], requestTimeoutMs }, world)
  }

  override send<T>(...call: Parameters<KafkaClient['send']>): Promise<T> {
    const send = () => super.send(...call)
    return this.hook(call[1], send) as Promise<T>
  }
}

export const API = { produce: 0, endTxn: 26, txnOffsetCommit: 28, addPartitions: 24 } as const

/** Publishes what a claim says is missing, as the runtime does. */
export async function redo(task: OutboxTask, epochs: readonly OutboxEpoch[]): Promise<void> {
  for (const epoch of epochs) if (epoch.epoch > (task.marker?.epoch ?? -1)) await task.publish(epoch)
}

/** The state of a transactional id at its coordinator: 'Ongoing', 'CompleteAbort', … Null where the coordinator does not know it. */
export async function transactionState(client: KafkaClient, id: string): Promise<string | null> {
  const nodeId = await client.coordinator(id, 'transaction')
  const request: RawRequest<string | null> = {
    apiKey: 65,
    apiName: 'DescribeTransactions',
    apiVersion: 0,
    isFlexible: true,
    encode: () => body((out) => out.compactArray([id], (one) => out.compactString(one)).tags()),
    decode: (buffer) => {
      const input = new WireReader(buffer)
      input.int32() // throttle time
      const [state] = input.compactArray(() => {
        const errorCode = input.int16()
        input.compactString() // id
        const text = input.compactString()
        input.at = input.end
        return errorCode === 0 ? text : null
      })
      return state ?? null
    },
  }
  return client.send(nodeId, request, { what: 'describe a transaction' })
}

/** Resolves when the coordinator says so. */
export async function untilState(
  client: KafkaClient,
  id: string,
  isIt: (state: string | null) => boolean,
): Promise<void> {
  while (!isIt(await transactionState(client, id))) await systemClock.sleep(50)
}
