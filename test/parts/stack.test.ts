import { describe, expect, it } from 'vitest'
import { createTopic, findKafka, findKafkaPackages, startKafka } from './kafka.ts'

const packages = await findKafkaPackages()

describe.skipIf(packages.kind === 'missing')('Kafka', () => {
  it('is shared by the whole run', async () => {
    const first = await findKafka()
    expect(first.kind).toBe('ready')
    expect(await findKafka()).toEqual(first)
  })

  it('is killed, and starts again on its port with its data', async () => {
    const kafka = await startKafka()
    try {
      await createTopic(kafka.brokers, 'kept', { partitions: 2 })
      await kafka.kill()
      await kafka.restart()
      // A topic of that name is there already: kafkajs says so with false, and our helper with silence.
      await createTopic(kafka.brokers, 'other')
    } finally {
      await kafka.dispose()
    }
  })
})
