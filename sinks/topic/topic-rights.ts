import { body, type RawRequest } from '../../src/kafka/client.ts'
import { WireReader } from '../../src/kafka/wire.ts'

/** What the brokers say of a topic to whoever asks as we do. */
export interface TopicRights {
  readonly topic: string
  readonly errorCode: number
  /** Null where the brokers do not say. */
  readonly mayRead: boolean | null
  readonly mayWrite: boolean | null
}

const READ = 1 << 3
const WRITE = 1 << 4
/** The brokers have been asked and do not know. */
const UNKNOWN = -(2 ** 31)

/** Metadata v8, with what we may do to each topic (KIP-430). Creates none. */
export function topicRightsRequest(topics: readonly string[]): RawRequest<readonly TopicRights[]> {
  return {
    apiKey: 3,
    apiName: 'Metadata',
    apiVersion: 8,
    isFlexible: false,
    encode: () =>
      //  topics [name], allow_auto_topic_creation, include cluster and topic authorized operations
      body((out) =>
        out
          .array(topics, (topic) => out.string(topic))
          .boolean(false)
          .boolean(false)
          .boolean(true),
      ),
    decode: (buffer) => {
      const input = new WireReader(buffer)
      input.int32() // throttle time
      input.array(() => [input.int32(), input.string(), input.int32(), input.nullableString()]) // brokers
      input.nullableString() // cluster id
      input.int32() // controller
      return input.array(() => {
        const errorCode = input.int16()
        const topic = input.string()
        input.boolean() // internal
        input.array(() => {
          for (const _ of ['error']) input.int16()
          for (const _ of ['partition', 'leader', 'leader epoch']) input.int32()
          for (const _ of ['replicas', 'in sync', 'offline']) input.array(() => input.int32())
        })
        const operations = input.int32()
        const may = (operation: number): boolean | null =>
          operations === UNKNOWN ? null : (operations & operation) !== 0
        return { topic, errorCode, mayRead: may(READ), mayWrite: may(WRITE) }
      })
    },
  }
}
