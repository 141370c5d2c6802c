import { body, type RawRequest } from '../../src/kafka/client.ts'
import { WireReader } from '../../src/kafka/wire.ts'

/** Settings of a topic, by name. */
export interface TopicSettings {
  readonly topic: string
  readonly errorCode: number
  readonly settings: ReadonlyMap<string, string | null>
}

const TOPIC = 2

/** DescribeConfigs v2. */
export function topicSettingsRequest(
  topics: readonly string[],
  names: readonly string[],
): RawRequest<readonly TopicSettings[]> {
  return {
    apiKey: 32,
    apiName: 'DescribeConfigs',
    apiVersion: 2,
    isFlexible: false,
    encode: () =>
      //  resources [type, name, config names], include_synonyms
      body((out) =>
        out
          .array(topics, (topic) =>
            out
              .int8(TOPIC)
              .string(topic)
              .array(names, (name) => out.string(name)),
          )
          .boolean(false),
      ),
    decode: (buffer) => {
      const input = new WireReader(buffer)
      input.int32() // throttle time
      return input.array(() => {
        const errorCode = input.int16()
        input.nullableString() // message
        input.int8() // type
        const topic = input.string()
        const settings = input.array(() => {
          const name = input.string()
          const value = input.nullableString()
          input.boolean() // read only
          input.int8() // source
          input.boolean() // sensitive
          input.array(() => [input.string(), input.nullableString(), input.int8()]) // synonyms
          return [name, value] as const
        })
        return { topic, errorCode, settings: new Map(settings) }
      })
    },
  }
}
