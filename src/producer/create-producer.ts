import { PipelineError } from '../errors.ts'
import { KafkaClient } from '../kafka/client.ts'
import { IdempotentProducer, type ProducedRecord, type Sent } from '../kafka/idempotent-producer.ts'
import type { Clock, Header, Log } from '../ports.ts'
import { FrameWriter } from './frame-writer.ts'
import type { Producer, ProducerOptions, SendOptions } from './producer-options.ts'

/**
 * Opens a producer for one topic: reaches the brokers, finds the topic, registers the schema or looks it up. What is wrong with any of these
 * is thrown here: KAFKA_UNREACHABLE, KAFKA_AUTHENTICATION, KAFKA_AUTHORIZATION, TOPIC_NOT_FOUND, SCHEMA_INVALID, SCHEMA_NOT_REGISTERED,
 * SCHEMA_INCOMPATIBLE, REGISTRY_UNREACHABLE, REGISTRY_FORBIDDEN.
 */
export async function createProducer<Row>(options: ProducerOptions<Row>): Promise<Producer<Row>> {
  const { topic, log = SILENT, schema } = options
  const writer = new FrameWriter(schema.avro, topic)
  const client = new KafkaClient(options, { clock: SYSTEM_CLOCK, log })
  try {
    const producer = await IdempotentProducer.open({
      ...deliveryOf(options),
      client,
      topic,
      clock: SYSTEM_CLOCK,
      log,
    })
    return new TypedProducer(options, writer, await schemaIdFor(options), client, producer)
  } catch (error) {
    await client.close()
    throw error
  }
}

class TypedProducer<Row> implements Producer<Row> {
  readonly topic: string
  readonly schemaId: number
  readonly #options: ProducerOptions<Row>
  readonly #writer: FrameWriter
  readonly #client: KafkaClient
  readonly #producer: IdempotentProducer

  constructor(
    options: ProducerOptions<Row>,
    writer: FrameWriter,
    schemaId: number,
    client: KafkaClient,
    producer: IdempotentProducer,
  ) {
    this.topic = options.topic
    this.schemaId = schemaId
    this.#options = options
    this.#writer = writer
    this.#client = client
    this.#producer = producer
  }

  send(value: Row, options?: SendOptions): Promise<Sent>
  send(values: readonly Row[], options?: SendOptions): Promise<readonly Sent[]>
  async send(values: Row | readonly Row[], options: SendOptions = {}): Promise<Sent | readonly Sent[]> {
    if (!isList(values)) {
      const record = this.#record(values, null, options)
      await this.#producer.ready()
      return this.#producer.send(record, options.partition ?? null)
    }
    // All are encoded before one is sent: a value that does not fit is found in time.
    const records = values.map((value, index) => this.#record(value, index, options))
    const sending: Promise<Sent>[] = []
    for (const record of records) {
      await this.#producer.ready()
      const sent = this.#producer.send(record, options.partition ?? null)
      // Seen below; until then it must not count as unhandled.
      sent.catch(() => {})
      sending.push(sent)
    }
    return Promise.all(sending)
  }

  async sendTombstone(key: string | Uint8Array, options: Omit<SendOptions, 'key'> = {}): Promise<Sent> {
    await this.#producer.ready()
    const { headers = [], timestamp = Date.now(), partition = null } = options
    const record = { key: bytesOf(key), value: null, headers: headerList(headers), timestampMs: timestamp }
    return this.#producer.send(record, partition)
  }

  flush(): Promise<void> {
    return this.#producer.flush()
  }

  async close(): Promise<void> {
    await this.#producer.close()
    await this.#client.close()
  }

  #record(value: Row, index: number | null, options: SendOptions): ProducedRecord {
    const frame = this.#writer.frame(this.schemaId, value, index)
    const key = options.key === undefined ? (this.#options.key?.(value) ?? null) : options.key
    const timestampMs = options.timestamp ?? this.#options.timestamp?.(value) ?? Date.now()
    if (!Number.isSafeInteger(timestampMs) || timestampMs < 0) {
      throw new PipelineError(
        'PRODUCE_INVALID',
        `${this.topic}: the timestamp of a record is ${timestampMs}`,
        {
          advice: 'Give a whole number of milliseconds since 1970.',
        },
      )
    }
    return { key: bytesOf(key), value: frame, headers: headerList(options.headers ?? []), timestampMs }
  }
}

async function schemaIdFor<Row>(options: ProducerOptions<Row>): Promise<number> {
  const { topic, schema, registry, autoRegister = true, subject = `${topic}-value` } = options
  const json = JSON.stringify(schema.avro)
  if (autoRegister && registry.register !== undefined) return registry.register(subject, json)
  if (registry.idOf === undefined) {
    throw new PipelineError(
      'REGISTRY_READ_ONLY',
      `${registry.description}: schemas cannot be looked up by their subject there`,
      {
        advice: 'Give the producer the registry of the topic, as in confluentRegistry({ url }).',
      },
    )
  }
  const id = await registry.idOf(subject, json)
  if (id !== null) return id
  throw new PipelineError(
    'SCHEMA_NOT_REGISTERED',
    `${registry.description}: this schema is not registered under ${subject}`,
    {
      advice:
        'Register it there first, or let the producer do it: autoRegister: true, with a registry that can be written to.',
    },
  )
}

/** Only what is given: `exactOptionalPropertyTypes`. */
function deliveryOf<Row>(options: ProducerOptions<Row>) {
  const { compression, lingerMs, batchBytesMax, deliveryTimeoutMs, queueBytesMax } = options
  return {
    ...(compression === undefined ? {} : { compression }),
    ...(lingerMs === undefined ? {} : { lingerMs }),
    ...(batchBytesMax === undefined ? {} : { batchBytesMax }),
    ...(deliveryTimeoutMs === undefined ? {} : { deliveryTimeoutMs }),
    ...(queueBytesMax === undefined ? {} : { queueBytesMax }),
  }
}

function isList<Row>(values: Row | readonly Row[]): values is readonly Row[] {
  return Array.isArray(values)
}

function bytesOf(value: string | Uint8Array | null): Uint8Array | null {
  return typeof value === 'string' ? Buffer.from(value) : value
}

function headerList(headers: NonNullable<SendOptions['headers']>): readonly Header[] {
  if (Array.isArray(headers)) return headers as readonly Header[]
  return Object.entries(headers as Readonly<Record<string, string | Uint8Array | null>>).map(
    ([key, value]) => ({ key, value: bytesOf(value) }),
  )
}

const SYSTEM_CLOCK: Clock = {
  nowMs: () => Date.now(),
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      if (signal?.aborted === true) return resolve()
      const done = (): void => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', done)
        resolve()
      }
      const timer = setTimeout(done, ms)
      signal?.addEventListener('abort', done)
    }),
}

const SILENT: Log = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => SILENT,
}
