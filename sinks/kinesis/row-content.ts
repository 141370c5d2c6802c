import type { Column, ColumnBatch } from '../../src/columns/column.ts'
import { jsonValueAt } from '../../src/columns/json-value.ts'
import { decodeUtf8, encodeUtf8 } from '../../src/columns/utf8.ts'
import { assert, PipelineError } from '../../src/errors.ts'
import type { PutEntry } from '../../src/kinesis/api.ts'
import type { OutboxMessage, SchemaRegistry, TopicEncoder, TopicShape } from '../../src/ports.ts'
import { columnsOf } from '../topic/avro-encoder.ts'
import { avroSchemaText, keySchemaText, recordNameOf } from '../topic/avro-schema.ts'
import { topicEncoder } from '../topic/topic-encoder.ts'
import type { StreamContent } from './content.ts'
import { ID_FIELD, withId, withIdField } from './id-field.ts'
import { messageId } from './message-id.ts'
import { partitionKeyOf, partitionKeyOfBytes } from './partition-key.ts'

/** Confluent's frame: a zero, then the schema id as int32, big-endian. */
const FRAME_BYTES = 5
/** Of the partition key, behind it. */
const LENGTH_BYTES = 2

/**
 * Rows as Avro in Confluent's frame. A row that is no more is a record of the key's schema.
 *
 * What is staged is complete but for the id, which is empty until a message is sent: the value, and the key with its partition key and the length of that in two
 * bytes behind it, because a partition key is a text and Avro is not.
 */
export class RowContent implements StreamContent {
  readonly #registry: SchemaRegistry
  /** By schema id of a frame: the schema id with an id field in it, the same where it has one. */
  readonly #withId = new Map<number, number>()

  constructor(registry: SchemaRegistry) {
    this.#registry = registry
  }

  /** Data, with the id, is no larger than the value and the headers that the id is made of; the partition key lies in the key. */
  messageBytesMax(recordBytesMax: number): number {
    return recordBytesMax
  }

  async encoders(shapes: readonly TopicShape[]): Promise<readonly TopicEncoder[]> {
    const encoders: TopicEncoder[] = []
    for (const shape of shapes) {
      const { topic, keyFields, fields } = shape
      const name = recordNameOf(topic)
      const keyId = await this.#register(`${topic}-key`, keySchemaText(`${name}Key`, keyFields))
      const valueId = await this.#register(`${topic}-value`, avroSchemaText(name, fields))
      encoders.push(rowEncoder(shape, keyId, valueId))
    }
    return encoders
  }

  async entriesOf(messages: readonly OutboxMessage[]): Promise<readonly PutEntry[]> {
    for (const { topic, key, value } of messages) {
      assert(key !== null, 'a result has a key')
      // Of this program's own schemas both are known.
      if (!this.#withId.has(schemaIdOf(key))) await this.#learn(`${topic}-key`, schemaIdOf(key))
      if (value === null || this.#withId.has(schemaIdOf(value))) continue
      await this.#learn(`${topic}-value`, schemaIdOf(value))
    }
    return messages.map((message) => this.#entryOf(message))
  }

  #entryOf(message: OutboxMessage): PutEntry {
    const { key, value } = message
    assert(key !== null, 'a result has a key')
    const isOurs = this.#withId.get(schemaIdOf(key)) === schemaIdOf(key)
    const bodyEnd = isOurs ? key.length - LENGTH_BYTES - lengthOf(key) : key.length
    const partitionKey = isOurs
      ? decodeUtf8(key, bodyEnd, key.length - LENGTH_BYTES)
      : partitionKeyOfBytes(key.subarray(FRAME_BYTES))
    const record = value ?? key.subarray(0, bodyEnd)
    const schemaId = schemaIdOf(record)
    const target = this.#withId.get(schemaId)
    assert(target !== undefined, 'the schema of a result is known by then')
    // Without the empty id, where there is one.
    const body = record.subarray(FRAME_BYTES, record.length - (target === schemaId ? 1 : 0))
    return { partitionKey, data: withId(target, body, messageId(message)) }
  }

  async #register(subject: string, schema: string): Promise<number> {
    const registry = this.#registry
    if (registry.register === undefined) {
      throw new PipelineError(
        'REGISTRY_READ_ONLY',
        `${subject} cannot be registered at ${registry.description}`,
        {
          advice: 'Give kinesisStreams() a registry that takes schemas, as in confluentRegistry({ url }).',
        },
      )
    }
    const id = await registry.register(subject, withIdField(schema))
    this.#withId.set(id, id)
    return id
  }

  /** A message that was staged for a Kafka topic, by an earlier start, has no id field: its schema gets one. */
  async #learn(subject: string, schemaId: number): Promise<void> {
    const schema = await this.#registry.schemaById(schemaId)
    if (schema === null) {
      throw new PipelineError(
        'SCHEMA_NOT_FOUND',
        `${this.#registry.description} has no schema ${schemaId}, with which messages for ${subject} were staged`,
        { advice: 'Give kinesisStreams() the registry of the earlier starts.' },
      )
    }
    const { fields } = JSON.parse(schema) as { readonly fields?: readonly { readonly name: string }[] }
    const id = fields?.at(-1)?.name === ID_FIELD ? schemaId : await this.#register(subject, schema)
    this.#withId.set(schemaId, id)
  }
}

function rowEncoder(shape: TopicShape, keyId: number, valueId: number): TopicEncoder {
  const avro = topicEncoder(shape, keyId, valueId)
  const textOf = keyText(shape)
  const staged = (key: Uint8Array, batch: ColumnBatch, row: number): Uint8Array =>
    stagedKey(key, partitionKeyOf(textOf(batch, row)))
  return {
    encode(batch, row) {
      const { key, value } = avro.encode(batch, row)
      assert(key !== null, 'the topic of a result has keys')
      return { key: staged(key, batch, row), value: withEmptyId(value) }
    },
    encodeKey: (batch, row) => staged(avro.encodeKey(batch, row), batch, row),
  }
}

/** A key of one text as it is, any other as JSON. */
function keyText({ keyFields }: TopicShape): (batch: ColumnBatch, row: number) => string {
  const names = keyFields.map(({ name }) => name)
  // Looked up once for a batch, not for each row.
  let bound: ColumnBatch | null = null
  let columns: readonly Column[] = []
  return (batch, row) => {
    if (bound !== batch) {
      bound = batch
      columns = columnsOf(batch, names)
    }
    const values = columns.map((column) => jsonValueAt(column, row))
    const [only] = values
    if (values.length === 1) return typeof only === 'string' ? only : JSON.stringify(only)
    return JSON.stringify(values)
  }
}

function stagedKey(key: Uint8Array, partitionKey: string): Uint8Array {
  const text = encodeUtf8(partitionKey)
  const staged = new Uint8Array(key.length + 1 + text.length + LENGTH_BYTES)
  staged.set(key)
  staged.set(text, key.length + 1)
  new DataView(staged.buffer).setUint16(staged.length - LENGTH_BYTES, text.length)
  return staged
}

/** The empty string is one zero, its length. */
function withEmptyId(value: Uint8Array): Uint8Array {
  const staged = new Uint8Array(value.length + 1)
  staged.set(value)
  return staged
}

function schemaIdOf(framed: Uint8Array): number {
  assert(framed[0] === 0 && framed.length >= FRAME_BYTES, 'a staged result is in the frame')
  return new DataView(framed.buffer, framed.byteOffset).getInt32(1)
}

function lengthOf(key: Uint8Array): number {
  return new DataView(key.buffer, key.byteOffset).getUint16(key.length - LENGTH_BYTES)
}
