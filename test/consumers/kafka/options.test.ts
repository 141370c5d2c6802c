import { describe, expect, it } from 'vitest'
import { kafka } from '../../../consumers/kafka/index.ts'
import { PipelineError } from '../../../src/errors.ts'
import { resolveKafkaOptions } from '../../../src/kafka/client.ts'

const registry = { description: 'none', schemaById: async () => null }
const good = { brokers: ['a:9092'], topic: 'trips', groupId: 'taxi', registry }

const refusal = (options: object): string => {
  try {
    kafka({ ...good, ...options })
    return 'accepted'
  } catch (error) {
    return error instanceof PipelineError ? `${error.code}: ${error.message}` : String(error)
  }
}

describe('the options of kafka()', () => {
  it('are checked before anything is opened', () => {
    expect(refusal({})).toBe('accepted')
    expect(refusal({ topic: undefined, pattern: /^trips/ })).toBe('accepted')
    expect(refusal({ from: new Date(0) })).toBe('accepted')
    for (const [options, message] of [
      [{ brokers: [] }, 'brokers is empty'],
      [{ brokers: ['localhost'] }, 'brokers has "localhost"'],
      [{ brokers: ['localhost:99999'] }, 'brokers has "localhost:99999"'],
      [{ topic: undefined }, 'one of them is needed'],
      [{ pattern: /x/ }, 'one of them is needed'],
      [{ topic: 'a b' }, '"a b" is no name of a topic'],
      [{ topic: undefined, topics: [] }, 'topics is empty'],
      [{ groupId: '' }, 'groupId is empty'],
      [{ from: 'yesterday' }, 'from is "yesterday"'],
      [{ from: new Date('yesterday') }, 'from is null'],
      [{ sasl: { mechanism: 'gssapi' } }, 'sasl.mechanism is "gssapi"'],
      [{ fetch: { maxWaitMs: 0 } }, 'fetch.maxWaitMs is 0'],
    ] as const) {
      expect(refusal(options)).toMatch(/^OPTION_INVALID/)
      expect(refusal(options)).toContain(message)
    }
  })

  it('take addresses as they are written elsewhere: in one text, and of IPv6', () => {
    const { brokers } = resolveKafkaOptions({ brokers: ['a:1, b:2', '[::1]:9092'] })
    expect(brokers).toEqual([
      { host: 'a', port: 1 },
      { host: 'b', port: 2 },
      { host: '::1', port: 9092 },
    ])
  })
})
