import { createServer } from 'node:net'
import { describe, expect, it } from 'vitest'
import { KafkaClient, LATEST, listOffsetsRequest } from '../../src/kafka/client.ts'
import { systemClock } from '../../src/runtime/system.ts'
import { name, thrownBy } from '../consumers/kafka/source-kit.ts'
import { collectingLog, type LogLine } from '../support/collecting-log.ts'
import { createTopic, findKafka } from '../parts/kafka.ts'

const found = await findKafka()
const brokers = found.kind === 'missing' ? '' : found.brokers

const newClient = (at: string, lines: LogLine[] = [], options = {}): KafkaClient =>
  new KafkaClient({ brokers: [at], ...options }, { clock: systemClock, log: collectingLog(lines) })

describe.skipIf(found.kind === 'missing')('a client of a real broker', () => {
  it('sends by kafkajs without a warning of Node, and without a line that somebody would look into', async () => {
    const warnings: string[] = []
    const watch = (warning: Error): number => warnings.push(warning.name)
    process.on('warning', watch)
    const lines: LogLine[] = []
    const topic = `client-${name()}`
    await createTopic(brokers, topic)
    const client = newClient(brokers, lines)
    const producer = client.producer({ idempotent: true })
    await producer.connect()
    for (let index = 0; index < 5; index++) await producer.send({ topic, messages: [{ value: 'x' }] })
    await producer.disconnect()
    const [end] = await client.listOffsets([{ topic, partition: 0, timestampMs: LATEST }])
    expect(end!.offset).toBe(5)
    await client.close()
    process.off('warning', watch)
    expect(warnings).not.toContain('TimeoutNegativeWarning')
    expect(lines.filter(({ level }) => level !== 'debug')).toEqual([])
  })

  it('knows what a group has committed, and what is unknown', async () => {
    const topic = `client-${name()}`
    await createTopic(brokers, topic, { partitions: 2 })
    const groupId = `group-${name()}`
    const client = newClient(brokers)
    await client.connect()
    const admin = client.admin()
    await admin.connect()
    await admin.setOffsets({ groupId, topic, partitions: [{ partition: 1, offset: '7' }] })
    await admin.disconnect()
    const both = [0, 1].map((partition) => ({ topic, partition }))
    const offsets = await client.fetchOffsets(groupId, both, { requireStable: true })
    expect(offsets.map(({ partition, offset }) => [partition, offset])).toEqual([
      [0, -1],
      [1, 7],
    ])
    const all = await client.fetchOffsets(groupId, null)
    expect(all.map(({ partition, offset }) => [partition, offset])).toEqual([[1, 7]])
    await client.close()
  })

  it('throws what a partition answers, and asks somebody else the next time', async () => {
    const client = newClient(brokers)
    const nowhere = { topic: `missing-${name()}`, partition: 0, timestampMs: LATEST }
    const error = await thrownBy(() => client.listOffsets([nowhere]))
    expect([error.code, error.retryable]).toEqual(['KAFKA_UNAVAILABLE', true])
    const stranger = await thrownBy(() =>
      client.send(4_711, listOffsetsRequest([nowhere], 'read_committed'), { what: 'ask' }),
    )
    expect([stranger.code, stranger.retryable]).toEqual(['KAFKA_UNREACHABLE', true])
    await client.close()
    const closed = await thrownBy(() => client.metadata([]))
    expect(closed.code).toBe('KAFKA_CLOSED')
  })
})

describe('a client of a server that is no broker', () => {
  it.each([
    ['says nothing', () => {}],
    ['hangs up', (socket: { destroy(): void }) => socket.destroy()],
  ] as const)('fails in time where it %s', async (_, act) => {
    const server = createServer((socket) => {
      socket.on('error', () => {}).resume()
      act(socket)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    const client = newClient(`127.0.0.1:${port}`, [], { connectTimeoutMs: 200, requestTimeoutMs: 200 })
    const error = await thrownBy(() => client.connect())
    expect([error.code, error.retryable]).toEqual(['KAFKA_UNREACHABLE', false])
    expect(error.message).toContain(`127.0.0.1:${port}`)
    await client.close()
    await new Promise((resolve) => server.close(resolve))
  })
})
