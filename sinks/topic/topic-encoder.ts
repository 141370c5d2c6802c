import type { Column, ColumnBatch } from '../../src/columns/column.ts'
import { PipelineError } from '../../src/errors.ts'
import type { SchemaRegistry, TopicEncoder, TopicShape } from '../../src/ports.ts'
import { AvroRowEncoder, columnsOf } from './avro-encoder.ts'
import { avroSchemaText, keySchemaText, recordNameOf } from './avro-schema.ts'

/** Registers the schemas of a topic, `<topic>-key` and `<topic>-value` as Confluent's tools expect them. Throws SCHEMA_INCOMPATIBLE. */
export async function registerEncoder(shape: TopicShape, registry: SchemaRegistry): Promise<TopicEncoder> {
  const { topic, keyFields, fields } = shape
  if (registry.register === undefined) {
    throw new PipelineError(
      'REGISTRY_READ_ONLY',
      `the schemas of topic ${topic} cannot be registered at ${registry.description}`,
      { advice: 'Give kafkaTopics() a registry that takes schemas, as in confluentRegistry({ url }).' },
    )
  }
  const name = recordNameOf(topic)
  const keyId = await registry.register(`${topic}-key`, keySchemaText(`${name}Key`, keyFields))
  const valueId = await registry.register(`${topic}-value`, avroSchemaText(name, fields))
  return topicEncoder(shape, keyId, valueId)
}

/** With schemas that are registered. */
export function topicEncoder(shape: TopicShape, keyId: number, valueId: number): TopicEncoder {
  const encoder = new AvroRowEncoder()
  const keyNames = shape.keyFields.map((field) => field.name)
  const valueNames = shape.fields.map((field) => field.name)
  const keys = new BoundColumns(keyNames)
  const values = new BoundColumns(valueNames)
  return {
    encode: (batch, row) => ({
      key: encoder.encode(keyId, shape.keyFields, keys.of(batch), row),
      value: encoder.encode(valueId, shape.fields, values.of(batch), row),
    }),
    encodeKey: (batch, row) => encoder.encode(keyId, shape.keyFields, keys.of(batch), row),
  }
}

/** The columns of the batch in hand: looked up once, not for each row. */
class BoundColumns {
  readonly #names: readonly string[]
  #batch: ColumnBatch | null = null
  #columns: readonly Column[] = []

  constructor(names: readonly string[]) {
    this.#names = names
  }

  of(batch: ColumnBatch): readonly Column[] {
    if (this.#batch !== batch) {
      this.#batch = batch
      this.#columns = columnsOf(batch, this.#names)
    }
    return this.#columns
  }
}
