import { expect, test } from 'vitest'
import { markerText, parseMarker } from '../../../sinks/topic/marker.ts'
import { kafkaTopics } from '../../../sinks/topic/index.ts'
import { deadLetterTopic } from '../../../sinks/dead-letter-topic.ts'
import { directoryRegistry } from '../../../consumers/registry/directory.ts'

test('a marker comes back from its text', () => {
  const marker = { incarnation: 3, life: '0a1b2c3d4e5f', epoch: 1_234_567 }
  expect(markerText(marker)).toBe('3:0a1b2c3d4e5f:1234567')
  expect(parseMarker(markerText(marker))).toEqual(marker)
})

test.each([null, '', '3:5', 'x:y:z', '3:life:', '3:life:5 ', 'a:life:5'])('%j is no marker', (text) => {
  expect(parseMarker(text)).toBeNull()
})

test('options that make no sense are refused when the program starts', () => {
  const brokers = ['localhost:9092']
  const registry = directoryRegistry('.')
  expect(() => kafkaTopics({ brokers, registry, transactionTimeoutMs: 1 })).toThrow(
    'transactionTimeoutMs is 1',
  )
  expect(() => kafkaTopics({ brokers, registry, transactionalIdPrefix: 'a b' })).toThrow(
    'transactionalIdPrefix',
  )
  expect(() => deadLetterTopic({ brokers, topic: '' })).toThrow('has no topic')
  expect(deadLetterTopic({ brokers, topic: 'dead' }).topic).toBe('dead')
})
