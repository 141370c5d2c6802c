import type { Column, ColumnBatch } from '../../src/columns/column.ts'
import { PipelineError } from '../../src/errors.ts'
import type { SchemaRegistry, TopicEncoder, TopicShape } from '../../src/ports.ts'
import { AvroRowEncoder, columnsOf } from './avro-encoder.ts'
import { avroSchemaText, recordNameOf } from './avro-schema.ts'

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
  const keyId = await registry.register(`${topic}-key`, avroSchemaText(`${name}Key`, keyFields))
  const valueId = await registry.register(`${topic}-value`, avroSchemaText(name, fields))
  return topicEncoder(shape, keyId, valueId)
}

/** With schemas that are registered. */
export function topicEncoder(shape: TopicShape, keyId: number, valueId: number): TopicEncoder {
  const encoder = new AvroRowEncoder()
  const keyNames = shape.keyFields.map((field) => field.name)
  const valueNames = shape.fields.map((field) => field.name)
  let bound: {
    readonly batch: ColumnBatch
    readonly keys: readonly Column[]
    readonly values: readonly Column[]
  } | null = null
  return {
    encode(batch, row) {
      if (bound?.batch !== batch) {
        bound = { batch, keys: columnsOf(batch, keyNames), values: columnsOf(batch, valueNames) }
      }
      return {
        key: encoder.encode(keyId, bound.keys, row),
        value: encoder.encode(valueId, bound.values, row),
      }
    },
  }
}
