import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { PipelineError } from '../../../src/errors.ts'
import { createTopic, findKafkaPackages, type Kafka, startKafka } from '../../parts/kafka.ts'
import type { KafkaOutbox } from '../../../sinks/topic/kafka-outbox.ts'
import {
  API,
  codeOf,
  epochOf,
  HookedClient,
  newOwner,
  openOutbox,
  type Owner,
  redo,
  uniqueName,
  untilState,
  valuesIn,
} from './outbox-kit.ts'

const packages = await findKafkaPackages()

/** Brokers that give transactions and their ids little time. */
const IMPATIENT = {
  'transaction.abort.timed.out.transaction.cleanup.interval.ms': '100',
  'transactional.id.expiration.ms': '12000',
  'transaction.remove.expired.transaction.cleanup.interval.ms': '200',
}

describe.skipIf(packages.kind === 'missing')('an outbox whose broker fails', () => {
  let kafka: Kafka
  const open: KafkaOutbox[] = []

  beforeAll(async () => {
    kafka = await startKafka({ properties: IMPATIENT })
  })

  afterAll(async () => {
    await Promise.all(open.map((outbox) => outbox.close()))
    await kafka.dispose()
  })

  interface Stage {
    readonly topic: string
    readonly owner: Owner
    readonly id: string
    readonly client: HookedClient
    readonly outbox: KafkaOutbox
  }

  async function newStage(): Promise<Stage> {
    const topic = uniqueName('dead')
    await createTopic(kafka.brokers, topic, { partitions: 2 })
    const owner = newOwner()
    const client = new HookedClient(kafka.brokers, 3_000)
    const outbox = await openOutbox(kafka.brokers, [topic], { client, transactionTimeoutMs: 30_000 })
    open.push(outbox)
    return { topic, owner, id: `millrace-${owner.pipeline}-${owner.task}-dlq`, client, outbox }
  }

  /** Publishes three epochs, the last of which meets trouble; then claims again and redoes what is missing, as the runtime does. */
  async function through(stage: Stage, trouble: () => void): Promise<string> {
    const { topic, owner, outbox, client } = stage
    const epochs = [1, 2, 3].map((epoch) => epochOf(owner, topic, epoch, [`${epoch}a`, `${epoch}b`]))
    const task = await outbox.claim(owner.pipeline, owner.task)
    await task.publish(epochs[0]!)
    await task.publish(epochs[1]!)
    trouble()
    const outcome = await codeOf(task.publish(epochs[2]!))
    client.hook = (_request, send) => send()
    const successor = await outbox.claim(owner.pipeline, owner.task)
    if (outcome === 'resolved') expect(successor.marker?.epoch).toBe(3)
    else expect(await codeOf(task.publish(epochs[2]!))).toBe(outcome)
    await redo(successor, epochs)
    await successor.publish(epochOf(owner, topic, 4, ['4a']))
    expect(await valuesIn(kafka.brokers, topic)).toEqual(['1a', '1b', '2a', '2b', '3a', '3b', '4a'])
    return outcome
  }

  const lost = () => new PipelineError('KAFKA_UNREACHABLE', 'the answer was lost', { retryable: true })

  /** The first request of this kind is carried out, and its answer lost. */
  function loseAnswer(client: HookedClient, apiKey: number, times = 1): void {
    let left = times
    client.hook = async (request, send) => {
      const answer = await send()
      if (request.apiKey === apiKey && left-- > 0) throw lost()
      return answer
    }
  }

  /** The first request of this kind waits for something. */
  function before(client: HookedClient, apiKey: number, action: () => Promise<unknown>): void {
    let isFirst = true
    client.hook = async (request, send) => {
      if (request.apiKey === apiKey && isFirst) {
        isFirst = false
        await action()
      }
      return send()
    }
  }

  test.each([
    ['records', API.produce],
    ['the marker', API.txnOffsetCommit],
    ['the end', API.endTxn],
    ['the beginning', API.addPartitions],
  ])('publishes once when the answer to %s is lost', async (_what, apiKey) => {
    const stage = await newStage()
    expect(await through(stage, () => loseAnswer(stage.client, apiKey))).toBe('resolved')
  })

  test('is in doubt when no answer to the end of a transaction comes, and finds by a new claim that it was committed', async () => {
    const stage = await newStage()
    const outbox = await openOutbox(kafka.brokers, [stage.topic], {
      client: stage.client,
      transactionTimeoutMs: 5_000,
    })
    const impatient = { ...stage, outbox }
    expect(await through(impatient, () => loseAnswer(stage.client, API.endTxn, Infinity))).toBe(
      'OUTBOX_IN_DOUBT',
    )
  })

  test('holds what it cannot begin, and goes on when it can', async () => {
    const { topic, owner, client, outbox } = await newStage()
    const task = await outbox.claim(owner.pipeline, owner.task)
    client.hook = async (request, send) => {
      if (request.apiKey === API.addPartitions) throw lost()
      return send()
    }
    const epoch = epochOf(owner, topic, 1, ['a'])
    await expect(task.publish(epoch)).rejects.toMatchObject({ retryable: true })
    client.hook = (_request, send) => send()
    await task.publish(epoch)
    expect(await valuesIn(kafka.brokers, topic)).toEqual(['a'])
  })

  test.each([
    ['records are written', API.produce],
    ['its end is asked for', API.endTxn],
  ])('outlives a broker that is killed before %s', async (_when, apiKey) => {
    const stage = await newStage()
    let restarted: Promise<void> = Promise.resolve()
    const kill = async (): Promise<void> => {
      await kafka.kill()
      restarted = kafka.restart()
    }
    const outcome = await through(stage, () => before(stage.client, apiKey, kill))
    // Where the broker takes long to come back, only a claim can tell.
    expect(['resolved', 'OUTBOX_IN_DOUBT']).toContain(outcome)
    await restarted
  })

  test('is in doubt when the coordinator has ended a transaction that took too long', async () => {
    const stage = await newStage()
    const { client, id } = stage
    const outbox = await openOutbox(kafka.brokers, [stage.topic], { client, transactionTimeoutMs: 5_000 })
    const wait = () => untilState(client, id, (state) => state !== 'Ongoing' && state !== 'PrepareAbort')
    expect(await through({ ...stage, outbox }, () => before(client, API.endTxn, wait))).toBe(
      'OUTBOX_IN_DOUBT',
    )
  })

  test('is in doubt when its transactional id has expired, and goes on with a new claim', async () => {
    const stage = await newStage()
    const { client, id } = stage
    const wait = () => untilState(client, id, (state) => state === null)
    expect(await through(stage, () => before(client, API.addPartitions, wait))).toBe('OUTBOX_IN_DOUBT')
  })

  test('says that it is fenced when another owner comes before the end of its transaction', async () => {
    const { topic, owner, client, outbox } = await newStage()
    const rival = await openOutbox(kafka.brokers, [topic])
    open.push(rival)
    const task = await outbox.claim(owner.pipeline, owner.task)
    await task.publish(epochOf(owner, topic, 1, ['a']))
    for (const apiKey of [API.produce, API.txnOffsetCommit, API.endTxn]) {
      const mine = await outbox.claim(owner.pipeline, owner.task)
      before(client, apiKey, () => rival.claim(owner.pipeline, owner.task))
      expect(await codeOf(mine.publish(epochOf(owner, topic, 2, ['b'])))).toBe('OUTBOX_FENCED')
      client.hook = (_request, send) => send()
    }
    expect((await rival.claim(owner.pipeline, owner.task)).marker?.epoch).toBe(1)
    expect(await valuesIn(kafka.brokers, topic)).toEqual(['a'])
  })
})
